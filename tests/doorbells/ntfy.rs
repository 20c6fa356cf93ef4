//! The ntfy doorbell.

use afk::adapters::ntfy::Ntfy;
use afk::policy::Urgency;
use afk::ports::{Notice, Notifier, PortErrorKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{Place, notice};

const TOKEN: &str = "tk_S3CRET";

/// ntfy, as far as doorbells need it. The topic `locked` wants a token.
async fn ntfy() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

fn answer(request: &Request) -> ResponseTemplate {
    let error = |code: u32| {
        let body = json!({ "code": code, "http": code / 100, "error": "no", "link": "https://ntfy.sh/docs" });
        ResponseTemplate::new(u16::try_from(code / 100).unwrap()).set_body_json(body)
    };
    let published = |topic: &str, message: &str| {
        let body = json!({ "id": "hwQ2YpKdmg", "time": 1, "event": "message", "topic": topic, "message": message });
        ResponseTemplate::new(200).set_body_json(body)
    };
    if request.url.path() != "/" {
        // As the real one: taken, and shown as it is.
        return published(request.url.path(), &String::from_utf8_lossy(&request.body));
    }
    let Ok(message) = serde_json::from_slice::<Value>(&request.body) else { return error(40017) };
    let is_text = |name: &str| message.get(name).is_none_or(Value::is_string);
    let words = |name: &str| message.get(name).is_none_or(|tags| tags.as_array().is_some());
    if !(is_text("topic") && is_text("title") && is_text("message") && is_text("click") && words("tags")) {
        return error(40017);
    }
    let priority = message.get("priority").map_or(Some(3), Value::as_u64);
    let token = request.headers.get("authorization").and_then(|value| value.to_str().ok());
    match (message["topic"].as_str(), priority) {
        (_, None) => error(40017),
        (_, Some(0 | 6..)) => error(40007),
        (None | Some(""), _) => error(40009),
        _ if message["message"].as_str().is_some_and(|message| message.len() > 4096) => error(41301),
        _ if token.is_some_and(|token| token != format!("Bearer {TOKEN}")) => error(40101),
        (Some("locked"), _) if token.is_none() => error(40301),
        (Some(topic), _) => published(topic, message["message"].as_str().unwrap_or("triggered")),
    }
}

fn topic(place: &Place, server: &MockServer, topic: &str, token: Option<&str>) -> Ntfy {
    let token = token.map(|token| place.secret("token", token));
    Ntfy { url: server.uri().parse().unwrap(), topic: place.secret("topic", topic), token }
}

async fn sent(server: &MockServer) -> Value {
    let request = server.received_requests().await.unwrap().last().unwrap().clone();
    assert_eq!(request.url.path(), "/", "JSON goes to the root");
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn a_notice_is_published_with_what_a_phone_can_show() {
    let (place, server) = (Place::new(), ntfy().await);
    place.bell(topic(&place, &server, "locked\n", Some(TOKEN))).ring(&notice()).await.unwrap();
    assert_eq!(
        sent(&server).await,
        json!({
            "topic": "locked",
            "title": "acme/app#7: CI is red",
            "message": "line one\nline two",
            "priority": 4,
            "tags": ["ci"],
            "click": "https://git.example.com/acme/app/issues/7",
            "actions": [{ "action": "view", "label": "Agent", "url": "https://agents.example.com/7" }],
        })
    );
}

#[tokio::test]
async fn urgency_is_a_number_and_a_long_body_is_cut_between_characters() {
    let (place, server) = (Place::new(), ntfy().await);
    for (urgency, priority) in [(Urgency::Low, 2), (Urgency::Normal, 3), (Urgency::High, 4)] {
        let long = Notice { urgency, body: format!("a{}", "é".repeat(4000)), ..notice() };
        place.bell(topic(&place, &server, "open", None)).ring(&long).await.unwrap();
        let message = sent(&server).await;
        assert_eq!(message["priority"], priority);
        assert_eq!(message["message"].as_str().map(str::len), Some(4095));
    }
}

#[tokio::test]
async fn an_address_that_is_none_cannot_be_clicked() {
    let (place, server) = (Place::new(), ntfy().await);
    let body = notice().title;
    let local = Notice { url: "issues/0007.md".to_owned(), link: Some("file:///x".to_owned()), body, ..notice() };
    place.bell(topic(&place, &server, "open", None)).ring(&local).await.unwrap();
    let message = sent(&server).await;
    assert_eq!((message.get("click"), message.get("actions")), (None, None));
    assert_eq!(message["message"], "acme/app#7", "the title is not said twice");
}

#[tokio::test]
async fn refusals_say_what_to_do_and_give_neither_topic_nor_token_away() {
    let server = ntfy().await;
    for (name, token, code, help) in
        [("locked", None, 40301, "wants a `token`"), ("locked", Some("tk_old"), 40101, "does not know the token")]
    {
        let place = Place::new();
        let error = place.bell(topic(&place, &server, name, token)).ring(&notice()).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused);
        assert!(error.message.contains(&code.to_string()) && error.message.contains(help), "{error}");
        assert!(!error.message.contains("locked") && !error.message.contains("tk_"), "{error}");
    }
    for name in ["https://ntfy.sh/mine", "a/b", "two words", &"x".repeat(65)] {
        let place = Place::new();
        let error = place.bell(topic(&place, &server, name, None)).ring(&notice()).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused);
        assert!(error.message.contains("holds no topic") && !error.message.contains(name), "{error}");
    }
}

#[tokio::test]
async fn another_server_that_says_yes_to_everything_did_not_ring() {
    let (place, server) = (Place::new(), MockServer::start().await);
    let answer = ResponseTemplate::new(200).set_body_string("<html>welcome</html>");
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    let error = place.bell(topic(&place, &server, "open", None)).ring(&notice()).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Refused);
    assert!(error.message.contains("not as ntfy does"), "{error}");
}

#[tokio::test]
async fn when_the_days_messages_are_used_up_it_is_quiet_until_tomorrow() {
    let (place, server) = (Place::new(), MockServer::start().await);
    let spent = json!({ "code": 42908, "http": 429, "error": "limit reached: daily message quota reached" });
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(429).set_body_json(spent)).mount(&server).await;
    let bell = || place.bell(topic(&place, &server, "open", None));
    bell().ring(&notice()).await.unwrap_err();
    server.reset().await;
    Mock::given(method("POST")).respond_with(answer).expect(1).mount(&server).await;
    place.later(11 * 60 + 59);
    let error = bell().ring(&notice()).await.unwrap_err();
    assert!(error.message.ends_with("(`42908`); tried again after 2026-03-05 00:00:00 UTC"), "{error}");
    place.later(1);
    bell().ring(&notice()).await.unwrap();
}
