//! What the schema says of a document, to hold it beside what the parser says.

use jsonschema::PatternOptions;
use serde_json::Value;

/// The schema as it is published. Reading it takes less than half the time of writing it anew out of the catalogue;
/// `tests/generated.rs` holds the two equal.
const PUBLISHED: &str = include_str!("../../schema/afk-policy.schema.json");

/// The schema, ready to judge. Building it takes milliseconds: only who validates should.
#[derive(Debug)]
pub struct Validator(jsonschema::Validator);

/// Why the schema refuses a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where in the document, as a JSON pointer.
    pub at: String,
    /// The rule of the schema, as a JSON pointer.
    pub rule: String,
}

impl Validator {
    /// Builds it; looks at no network and no file.
    ///
    /// # Errors
    /// When the schema itself is wrong, which is a defect of afk.
    pub fn new() -> Result<Self, String> {
        let schema: Value = serde_json::from_str(PUBLISHED).map_err(|error| error.to_string())?;
        jsonschema::draft202012::options()
            .offline()
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// The first refusal of a TOML text; `None`: it is accepted.
    ///
    /// # Errors
    /// When the text is not TOML.
    pub fn judge(&self, text: &str) -> Result<Option<Refusal>, toml::de::Error> {
        let document: Value = toml::from_str(text)?;
        let refusal = self
            .0
            .iter_errors(&document)
            .next()
            .map(|error| Refusal { at: error.instance_path().to_string(), rule: error.schema_path().to_string() });
        Ok(refusal)
    }
}
