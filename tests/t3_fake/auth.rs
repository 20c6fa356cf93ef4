//! Tokens, their scopes, and how narrow ones are made.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::desk::Reply;
use super::state::{State, id, stamp};

/// A token with every scope, as `t3 auth session issue` mints it.
pub const TOKEN: &str = "token-of-afk";
/// One that may only read.
pub const READ_ONLY: &str = "token-of-a-reader";
/// One that is too old.
pub const EXPIRED: &str = "token-of-yesterday";

const SCOPES: [&str; 8] = [
    "orchestration:read",
    "orchestration:operate",
    "terminal:operate",
    "review:write",
    "relay:read",
    "access:read",
    "access:write",
    "relay:write",
];

/// What a bearer may do, and until when.
#[derive(Debug, Clone)]
pub struct Token {
    pub text: String,
    pub scopes: Vec<String>,
    pub expires_at: DateTime<Utc>,
}

/// A credential that can be exchanged for a token, once.
#[derive(Debug, Clone)]
pub struct Pairing {
    pub credential: String,
    pub scopes: Vec<String>,
}

impl Token {
    fn with(text: &str, scopes: &[&str], life: TimeDelta) -> Self {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Self { text: text.to_owned(), scopes, expires_at: Utc::now() + life }
    }
}

/// The tokens that are there from the start.
pub fn tokens() -> Vec<Token> {
    vec![
        Token::with(TOKEN, &SCOPES, TimeDelta::days(30)),
        Token::with(READ_ONLY, &["orchestration:read"], TimeDelta::days(30)),
        Token::with(EXPIRED, &SCOPES, TimeDelta::days(-1)),
    ]
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    Nobody,
    /// A token that is wrong, revoked or expired: nobody can tell from outside.
    Invalid,
    Bearer(Token),
}

impl Caller {
    pub fn of(state: &State, authorization: &str) -> Self {
        let Some(text) = authorization.strip_prefix("Bearer ") else { return Self::Nobody };
        let token = state.tokens.iter().find(|token| token.text == text && token.expires_at > state.now());
        token.map_or(Self::Invalid, |token| Self::Bearer(token.clone()))
    }

    /// Why the caller may not do what needs a scope; an empty scope is any token's.
    pub fn refusal(&self, scope: &str) -> Option<Reply> {
        match self {
            Self::Nobody => Some(invalid_credential("missing_credential")),
            Self::Invalid => Some(invalid_credential("invalid_credential")),
            Self::Bearer(token) if scope.is_empty() || token.scopes.iter().any(|has| has == scope) => None,
            Self::Bearer(_) => {
                let body = json!({ "_tag": "EnvironmentScopeRequiredError", "code": "insufficient_scope", "requiredScope": scope, "traceId": trace() });
                Some(Reply::json(403, body))
            }
        }
    }
}

/// The key to a server's log.
pub fn trace() -> String {
    id().replace('-', "")
}

fn invalid_credential(reason: &str) -> Reply {
    let body =
        json!({ "_tag": "EnvironmentAuthInvalidError", "code": "auth_invalid", "reason": reason, "traceId": trace() });
    Reply::json(401, body)
}

/// `GET /api/auth/session`.
pub fn session(state: &State, caller: &Caller) -> Reply {
    let auth = json!({
        "policy": "loopback-browser",
        "bootstrapMethods": ["one-time-token"],
        "sessionMethods": ["browser-session-cookie", "bearer-access-token", "dpop-access-token"],
        "sessionCookieName": if state.is_main() { "t3_session_3933_e344e49e538c" } else { "t3_session" },
    });
    let body = match caller {
        Caller::Bearer(token) => json!({
            "authenticated": true,
            "auth": auth,
            "scopes": token.scopes,
            "sessionMethod": "bearer-access-token",
            "expiresAt": stamp(token.expires_at),
        }),
        Caller::Nobody | Caller::Invalid => json!({ "authenticated": false, "auth": auth }),
    };
    Reply::json(200, body)
}

/// `POST /api/auth/pairing-token`.
pub fn pair(state: &mut State, body: &Value) -> Reply {
    let credential = id();
    let scopes = body["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    state.pairings.push(Pairing { credential: credential.clone(), scopes: scopes.map(str::to_owned).collect() });
    let expires = stamp(state.now() + TimeDelta::minutes(5));
    Reply::json(200, json!({ "id": id(), "credential": credential, "label": body["label"], "expiresAt": expires }))
}

/// `POST /oauth/token`, a form.
pub fn exchange(state: &mut State, form: &[(String, String)]) -> Reply {
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let Some(at) =
        state.pairings.iter().position(|pairing| Some(pairing.credential.as_str()) == field("subject_token"))
    else {
        return invalid_credential("invalid_credential");
    };
    let granted = state.pairings[at].scopes.clone();
    let wanted = field("scope").map_or_else(|| granted.clone(), |scope| scope.split(' ').map(str::to_owned).collect());
    if wanted.iter().any(|scope| !granted.contains(scope)) {
        return Reply::request_invalid("scope_not_granted");
    }
    state.pairings.remove(at);
    let token = Token { text: id(), scopes: wanted, expires_at: state.now() + TimeDelta::days(30) };
    let body = json!({
        "access_token": token.text,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 2_591_999,
        "scope": token.scopes.join(" "),
    });
    state.tokens.push(token);
    Reply::json(200, body)
}
