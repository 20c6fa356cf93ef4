//! A GitHub App: its key signs a word, the word is exchanged for a token, and the token is used until shortly before its
//! end.

use std::rc::Rc;
use std::time::Duration;

use afk::adapters::github::credential::AppCredential;
use afk::adapters::http::Http;
use afk::adapters::http::api::{Api, Credential};
use afk::adapters::http::manners::Pace;
use afk::ports::PortErrorKind;
use afk::settings::SecretSource;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use pretty_assertions::assert_eq;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs1KeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, ResponseTemplate};

use crate::server::{NOON, Place, answer, read, said};

const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http_manners/app.pem");
const EXCHANGE: &str = "/app/installations/2/access_tokens";

fn app(place: &Place, key: &str) -> Rc<AppCredential> {
    let http = Rc::new(Http::new(Duration::from_secs(5)));
    let address = place.server.uri().parse().unwrap();
    Rc::new(AppCredential::new(address, 1, 2, SecretSource::File(key.into()), http, place.time.clone()))
}

fn api(place: &Place, credential: Rc<AppCredential>) -> Api {
    let http = Rc::new(Http::new(Duration::from_secs(5)));
    Api::with_manners("github", place.server.uri().parse().unwrap(), &[], credential, http, place.manners())
}

fn token(token: &str, ends: &str) -> ResponseTemplate {
    answer(201).set_body_json(json!({ "token": token, "expires_at": ends, "permissions": {} }))
}

async fn exchanges(place: &Place) -> usize {
    let asked = place.server.received_requests().await.unwrap();
    asked.iter().filter(|request| request.url.path() == EXCHANGE).count()
}

#[tokio::test]
async fn an_app_shows_a_signed_word_that_a_clock_a_minute_off_does_not_break() {
    let place = Place::new().await;
    place.answers("POST", EXCHANGE, token("ghs_1", "2026-11-22T13:00:00Z")).await;
    assert_eq!(app(&place, KEY).token().await.unwrap().expose_secret(), "ghs_1");

    let asked = place.server.received_requests().await.unwrap();
    let word = asked[0].headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let (signed, signature) = word.rsplit_once('.').unwrap();
    let part = |text: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap() };
    let (head, claims) = signed.split_once('.').unwrap();
    let noon = NOON.parse::<DateTime<Utc>>().unwrap().timestamp();
    assert_eq!(part(head), json!({ "alg": "RS256", "typ": "JWT" }));
    assert_eq!(part(claims), json!({ "iat": noon - 60, "exp": noon + 540, "iss": "1" }));
    let key = RsaKeyPair::from_der(PrivatePkcs1KeyDer::from_pem_file(KEY).unwrap().secret_pkcs1_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn a_token_is_used_until_five_minutes_before_its_end() {
    let place = Place::new().await;
    place.answers_once("POST", EXCHANGE, token("ghs_1", "2026-11-22T13:00:00Z")).await;
    place.answers_once("POST", EXCHANGE, token("ghs_2", "2026-11-22T14:00:00Z")).await;
    let app = app(&place, KEY);
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push((
            place.time.now().format("%H:%M").to_string(),
            app.token().await.unwrap().expose_secret().to_owned(),
        ));
        place.time.later(if tokens.len() == 1 { 54 * 60 } else { 60 });
    }
    let tokens: Vec<_> = tokens.iter().map(|(at, token)| (at.as_str(), token.as_str())).collect();
    assert_eq!(tokens, [("12:00", "ghs_1"), ("12:54", "ghs_1"), ("12:55", "ghs_2"), ("12:56", "ghs_2")]);
}

#[tokio::test]
async fn what_the_installation_was_granted_comes_with_its_token() {
    let place = Place::new().await;
    let granted =
        json!({ "token": "ghs_1", "expires_at": "2026-11-22T13:00:00Z", "permissions": { "issues": "write" } });
    place.answers("POST", EXCHANGE, answer(201).set_body_json(granted)).await;
    let app = app(&place, KEY);
    app.token().await.unwrap();
    let granted = app.granted().unwrap();
    assert_eq!(granted.permissions.get("issues").map(String::as_str), Some("write"));
    assert_eq!(granted.page, "settings/installations/2");
}

#[tokio::test]
async fn several_calls_at_once_make_one_exchange() {
    let place = Place::new().await;
    place.answers("POST", EXCHANGE, token("ghs_1", "2026-11-22T13:00:00Z")).await;
    place.answers("GET", "/thing", answer(200).set_body_json(1)).await;
    let api = api(&place, app(&place, KEY));
    let _ = tokio::join!(read(&api), read(&api), read(&api));
    assert_eq!((exchanges(&place).await, place.asked().await), (1, 4));
}

#[tokio::test]
async fn a_token_that_was_revoked_is_exchanged_once() {
    let place = Place::new().await;
    place.answers_once("POST", EXCHANGE, token("ghs_1", "2026-11-22T13:00:00Z")).await;
    place.answers("POST", EXCHANGE, token("ghs_2", "2026-11-22T13:00:00Z")).await;
    let new = Mock::given(method("GET")).and(path("/thing")).and(header("authorization", "Bearer ghs_2"));
    new.respond_with(answer(200).set_body_json(1)).up_to_n_times(1).mount(&place.server).await;
    place.answers("GET", "/thing", said(401, "Bad credentials")).await;
    let api = api(&place, app(&place, KEY));
    assert_eq!(read(&api).await, Ok(json!(1)));
    assert_eq!(exchanges(&place).await, 2);
    // Now every token is refused.
    let error = read(&api).await.unwrap_err();
    assert_eq!(
        error.message,
        "github: GET /thing: the token was refused: Bad credentials; it comes from installation 2 of the GitHub App 1"
    );
    assert_eq!((error.kind, exchanges(&place).await), (PortErrorKind::Refused, 3));
}

#[tokio::test]
async fn a_key_that_github_or_nobody_knows_is_named() {
    let place = Place::new().await;
    place.answers("POST", EXCHANGE, said(401, "A JSON web token could not be decoded")).await;
    let error = app(&place, KEY).token().await.unwrap_err();
    assert_eq!(
        error.message,
        format!(
            "github: POST {EXCHANGE}: the token was refused: A JSON web token could not be decoded; it comes from the file \
             `{KEY}`, the key of the GitHub App 1, and from this machine's clock"
        )
    );
    let no_key = place.memory().join("token").display().to_string();
    let error = app(&place, &no_key).token().await.unwrap_err();
    assert_eq!(
        error.message,
        format!(
            "the file `{no_key}` holds no RSA private key as PEM; take the file that the App's page offers under \"Private \
             keys\""
        )
    );
}
