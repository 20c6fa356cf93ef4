//! Where recordings are replayed: a fake with the folders that the recorded servers had.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::t3_fake::contract::{Recording, differences};
use crate::t3_fake::{EXPIRED, Fake, Generation, READ_ONLY, TOKEN, Thread};

/// A server with the folders of the recordings.
pub struct Stage {
    pub fake: Fake,
    folder: TempDir,
    sent: std::cell::Cell<u64>,
    /// A credential that was exchanged already.
    spent: std::cell::RefCell<Option<String>>,
}

/// An answer as it came.
pub struct Answer {
    pub status: u64,
    content_type: Option<String>,
    body: Value,
}

impl Stage {
    pub fn new(generation: Generation) -> Self {
        let fake = Fake::start_blocking(generation);
        let folder = tempfile::tempdir().unwrap();
        let stage = Self { fake, folder, sent: std::cell::Cell::new(0), spent: std::cell::RefCell::default() };
        for (folder, git) in [("repo", true), ("own-wt", true), ("todelete", false), ("plain", false)] {
            fs::create_dir_all(stage.path(&format!("work/{folder}"))).unwrap();
            if git {
                let config = stage.path(&format!("work/{folder}/.git/config"));
                fs::create_dir(config.parent().unwrap()).unwrap();
                fs::write(config, "[remote \"origin\"]\n\turl = /data/work/origin.git\n").unwrap();
            }
        }
        fs::write(stage.path("work/repo/README.md"), "").unwrap();
        let agent = stage.path("stub.sh");
        fs::write(&agent, format!("#!/bin/sh\n{}", include_str!("stub.sh"))).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        {
            let mut state = stage.fake.state();
            state.agent = agent;
            state.home = stage.folder.path().to_owned();
            state.step = Duration::from_millis(1);
            state.checkpoint = Duration::from_millis(1);
        }
        stage
    }

    /// What was at `/data` on the machine of the recordings.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Text of the recordings as it would be here.
    pub fn here(&self, text: &str) -> String {
        text.replace("/data/", &format!("{}/", self.folder.path().display()))
    }

    /// Text of this machine as it would be in the recordings.
    fn there(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.folder.path().display()), "/data/")
    }

    /// Sends a request as it is, over a connection of its own.
    pub fn send(&self, method: &str, path: &str, headers: &[(String, String)], body: &str) -> Answer {
        let address = self.fake.uri();
        let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
        let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: t3\r\nconnection: close\r\ncontent-length: {length}\r\n");
        stream.write_all(format!("{head}{lines}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let content_type = headers.filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content_type = content_type.map(|(_, value)| value.to_owned()).next();
        let body = self.there(body);
        Answer { status, content_type, body: serde_json::from_str(&body).unwrap_or(Value::String(body)) }
    }

    /// A command that the server must take.
    pub fn does(&self, kind: &str, fields: Value) {
        let mut command = json!({ "type": kind, "commandId": self.new_id(), "createdAt": "2026-11-22T13:55:38.971Z" });
        for (name, value) in fields.as_object().unwrap() {
            command[name] = value.clone();
        }
        assert_eq!(self.fake.person(&command), 200, "{command}");
    }

    pub fn new_id(&self) -> String {
        self.sent.set(self.sent.get() + 1);
        format!("00000000-0000-4000-8000-{:012}", self.sent.get())
    }

    pub fn project(&self, id: &Value, root: &str) {
        let root = self.path(root);
        self.does("project.create", json!({ "projectId": id, "title": "demo", "workspaceRoot": root }));
    }

    pub fn thread(&self, id: &Value, project: &Value) {
        let model = json!({ "instanceId": "claudeAgent", "model": "claude-sonnet-4-6" });
        let fields = json!({
            "threadId": id, "projectId": project, "title": "First thread", "modelSelection": model,
            "runtimeMode": "full-access", "branch": null, "worktreePath": null,
        });
        self.does("thread.create", fields);
    }

    pub fn turn(&self, thread: &Value, text: &str) {
        let message = json!({ "messageId": self.new_id(), "role": "user", "text": text, "attachments": [] });
        let mode = self.read(thread, |thread| thread.runtime_mode.clone());
        let fields = json!({
            "threadId": thread, "message": message, "runtimeMode": mode, "interactionMode": "default",
        });
        self.does("thread.turn.start", fields);
    }

    /// Whether it is v0.0.27.
    pub fn is_old(&self) -> bool {
        self.fake.state().generation == Generation::V0_0_27
    }

    pub fn spent(&self, credential: String) {
        *self.spent.borrow_mut() = Some(credential);
    }

    /// A recorded command with the places of this machine.
    pub fn mine(&self, command: &Value) -> Value {
        serde_json::from_str(&self.here(&command.to_string())).unwrap()
    }

    fn read<T>(&self, thread: &Value, look: impl Fn(&Thread) -> T) -> T {
        look(self.fake.state().thread(thread.as_str().unwrap()).unwrap())
    }

    #[track_caller]
    pub fn wait(&self, thread: &Value, wanted: impl Fn(&Thread) -> bool) {
        let started = Instant::now();
        while !self.read(thread, &wanted) {
            let shown = self.read(thread, |thread| format!("{thread:#?}"));
            assert!(started.elapsed() < Duration::from_secs(10), "it never came to this: {shown}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn settled(&self, thread: &Value) {
        self.wait(thread, |thread| !thread.busy);
    }

    pub fn runs(&self, thread: &Value) {
        self.wait(thread, |thread| thread.agent.is_some() && thread.begun > 0);
    }

    /// Lets agents that wait for it go on to their end.
    pub fn go(&self) {
        fs::write(self.path("go"), "").unwrap();
    }

    /// Agents do not end when they are told to.
    pub fn deaf(&self) {
        fs::write(self.path("deaf"), "").unwrap();
        self.fake.state().grace = Duration::from_secs(60);
    }

    pub fn interrupt(&self, thread: &Value, with_turn: bool) {
        self.runs(thread);
        // Until then it would be deaf to nothing.
        self.wait(thread, |_| self.path("up").exists());
        let turn = self.read(thread, |thread| thread.latest_turn.clone().unwrap().id);
        let mut fields = json!({ "threadId": thread });
        if with_turn {
            fields["turnId"] = json!(turn);
        }
        self.does("thread.turn.interrupt", fields);
    }

    pub fn answers(&self, thread: &Value, kind: &str) {
        self.wait(thread, |thread| thread.activities.iter().any(|activity| activity.kind.ends_with(".requested")));
        let request = self.read(thread, |thread| thread.activities[0].payload["requestId"].clone());
        let fields = json!({ "threadId": thread, "requestId": request, "decision": "accept", "answers": { "Which colour?": "red" } });
        self.does(kind, fields);
    }

    /// Replays one exchange; gives what is different.
    pub fn replay(&self, recording: &Recording) -> Vec<String> {
        let Recording { name, request, response, .. } = recording;
        let (headers, body) = self.request(recording);
        let answer = self.send(
            request["method"].as_str().unwrap(),
            &self.here(request["path"].as_str().unwrap()),
            &headers,
            &body,
        );
        let mut found = Vec::new();
        let kind = response["headers"]["content-type"].as_str();
        let recorded = (response["status"].as_u64().unwrap(), kind);
        let given = (answer.status, answer.content_type.as_deref());
        if recorded != given {
            found.push(format!("{name}: {recorded:?} was recorded, {given:?} given: {}", answer.body));
            return found;
        }
        let (mut recorded, mut given) = (response["body"].clone(), answer.body);
        if recorded.get("threads").is_some() {
            // One is of interest; the projects and the other threads are held to their shape.
            for body in [&mut recorded, &mut given] {
                let newest = newest(body);
                body["projects"] = Value::Null;
                body["threads"] = newest;
            }
        }
        for body in [&mut recorded, &mut given] {
            incomparable(body);
        }
        differences(name, &recorded, &given, &mut found);
        found
    }

    pub fn request(&self, recording: &Recording) -> (Vec<(String, String)>, String) {
        let Recording { name, request, .. } = recording;
        let token = match name.as_str() {
            "error-bad-token" => "nobody's",
            "error-expired-token" => EXPIRED,
            "error-insufficient-scope" | "auth-session-read-only-token" => READ_ONLY,
            _ => TOKEN,
        };
        let headers = request["headers"].as_object().unwrap().iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().replace("TOKEN", token)));
        let mut body = match &request["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        if let Some((_, rest)) = body.split_once("message.text has ") {
            let length: usize = rest.split(' ').next().unwrap().parse().unwrap();
            body = json!({
                "type": "thread.turn.start", "commandId": self.new_id(), "threadId": "long",
                "message": { "messageId": "long", "role": "user", "text": "x".repeat(length), "attachments": [] },
                "runtimeMode": "full-access", "interactionMode": "default", "createdAt": "2026-11-22T13:55:38.971Z",
            })
            .to_string();
        }
        let credential = self.fake.state().pairings.last().map(|pairing| pairing.credential.clone());
        if let Some(credential) = credential.or_else(|| self.spent.borrow().clone()) {
            body = body.replace("=TOKEN", &format!("={credential}"));
        }
        (headers.collect(), self.here(&body))
    }
}

/// The thread that changed last.
pub fn newest(body: &Value) -> Value {
    let threads = body["threads"].as_array().unwrap().iter();
    threads.max_by_key(|thread| thread["updatedAt"].to_string()).cloned().unwrap_or(Value::Null)
}

/// Takes out what cannot be the same: numbers of events, what an agent changed, secrets.
fn incomparable(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in [
                "sequence",
                "snapshotSequence",
                "threadSequence",
                "beforeCursor",
                "credential",
                "access_token",
                "ticket",
            ] {
                if let Some(value) = fields.get_mut(name) {
                    *value = Value::Null;
                }
            }
            // Somebody gave a thread this time.
            if let Some(at) = fields.get_mut("updatedAt").filter(|at| *at == "yesterday") {
                *at = json!("2026-11-22T13:55:38.971Z");
            }
            if let Some(files) = fields.get_mut("files") {
                *files = json!([]);
            }
            fields.values_mut().for_each(incomparable);
        }
        Value::Array(items) => items.iter_mut().for_each(incomparable),
        _ => {}
    }
}
