//! Calls to somebody's server, from wherever they are made.

use std::sync::mpsc;
use std::time::Duration;

use afk::adapters::http::Http;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap};
use reqwest::{Client, Method, Request, Url};

/// How long a server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub date: Option<String>,
    pub body: Vec<u8>,
}

type Asked = (Request, mpsc::Sender<Result<Answer, String>>);

/// A client with a thread of its own, so that it can be waited for from within a server and from without.
#[derive(Debug, Clone)]
pub struct Upstream {
    url: Url,
    requests: mpsc::Sender<Asked>,
}

impl Upstream {
    pub fn new(url: Url) -> Self {
        let (requests, asked) = mpsc::channel::<Asked>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let client = Http::new(TIMEOUT).client().unwrap().clone();
            for (request, reply) in asked {
                let answer = runtime.block_on(send(&client, request));
                let _ = reply.send(answer.map_err(|error| error.without_url().to_string()));
            }
        });
        Self { url, requests }
    }

    /// Sends a request to a path, with its query, and waits for the answer.
    pub fn send(&self, method: Method, path: &str, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, String> {
        let url = format!("{}{path}", self.url.as_str().trim_end_matches('/'));
        let mut request = Request::new(method, url.parse().map_err(|error| format!("{error}"))?);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        let (reply, answer) = mpsc::channel();
        self.requests.send((request, reply)).map_err(|_| "the client has ended".to_owned())?;
        answer.recv().map_err(|_| "the client has ended".to_owned())?
    }
}

async fn send(client: &Client, request: Request) -> reqwest::Result<Answer> {
    let answer = client.execute(request).await?;
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (status, content_type, date) = (answer.status().as_u16(), header(CONTENT_TYPE), header(DATE));
    Ok(Answer { status, content_type, date, body: answer.bytes().await?.to_vec() })
}
