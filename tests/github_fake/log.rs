//! What was asked and what was answered.

use serde_json::Value;

/// A request and its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    /// Below the base address, not decoded.
    pub path: String,
    /// Decoded pairs.
    pub query: Vec<(String, String)>,
    pub body: Option<Value>,
    /// Whose token it carried.
    pub login: Option<String>,
    pub status: u16,
    /// The answer, where it is JSON.
    pub answer: Option<Value>,
    /// Points of GraphQL.
    pub points: u64,
    /// The answer was spoilt on its way.
    pub spoilt: bool,
}

impl Exchange {
    /// Whether it counts against a primary limit.
    pub fn counts(&self) -> bool {
        self.status != 304 && self.path != "/rate_limit"
    }
}
