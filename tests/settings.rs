//! The settings as an operator writes them, and what afk says when they are wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use afk::settings::{
    DoorbellSettings, ExecutorSettings, SecretSource, Settings, SlackSettings, T3ExecutorSettings, TrackerSettings,
};
use pretty_assertions::assert_eq;
use secrecy::ExposeSecret;
use tempfile::TempDir;

const SMALL: &str = "[tracker]\nkind = \"local\"\n";

struct Place(TempDir);

impl Place {
    fn new(text: &str) -> Self {
        let place = Self(TempDir::new().unwrap());
        std::fs::write(place.path("afk.settings.toml"), text).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Settings, String> {
        self.load_with(None, variables, &[])
    }

    fn load_with(
        &self,
        file: Option<&Path>,
        variables: &[(&str, &str)],
        flags: &[(&str, String)],
    ) -> Result<Settings, String> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::layered(file, self.0.path(), &variables, flags)
            .map_err(|error| error.to_string().replace(&*self.0.path().to_string_lossy(), "DIR"))
    }
}

/// The sentence that a wrong file is answered with.
fn complaint(text: &str) -> String {
    Place::new(text).load(&[]).unwrap_err()
}

#[test]
fn the_smallest_file_is_enough() {
    let place = Place::new(SMALL);
    let settings = place.load(&[]).unwrap();
    assert_eq!(settings.file, Some(place.path("afk.settings.toml")));
    assert_eq!(settings.data, place.path(".afk"));
    assert_eq!(settings.poll_interval, Duration::from_secs(60));
    let TrackerSettings::Local { login, people } = settings.tracker else { panic!("the local tracker") };
    assert_eq!((login.as_str(), people.len()), ("afk", 0));
}

#[test]
fn relative_paths_are_relative_to_the_file_and_addresses_stay() {
    let place = Place::new(&format!(
        r#"data = "state"
        {SMALL}
        [identity]
        record_keys = [{{ file = "keys/new" }}, {{ variable = "OLD_KEY" }}]
        [repos.app]
        issues = "issues/app"
        git = "repos/app.git"
        [repos.scp]
        git = "git@host:acme/app.git"
        [repos.https]
        git = "https://host/acme/app.git"
        [repos.absolute]
        git = "/srv/app.git"
        [executors.mine]
        kind = "command"
        start = ["./agent.sh", "./stays"]
        resume = ["claude", "--resume", "{{session}}"]
        output = "claude"
        [doorbells.hook]
        kind = "webhook"
        url = {{ file = "hook-url" }}
        [doorbells.chat]
        kind = "slack"
        webhook = {{ file = "chat-url" }}
        [doorbells.phone]
        kind = "ntfy"
        topic = {{ file = "topic" }}
        "#
    ));
    let settings = place.load(&[]).unwrap();
    let text = |name: &str| place.path(name).to_string_lossy().into_owned();
    assert_eq!(settings.data, place.path("state"));
    assert_eq!(
        settings.identity.record_keys,
        [SecretSource::File(place.path("keys/new")), SecretSource::Variable("OLD_KEY".to_owned())]
    );
    assert_eq!(settings.repos["app"].issues, Some(place.path("issues/app")));
    assert_eq!(settings.repos["app"].git, text("repos/app.git"));
    assert_eq!(settings.repos["scp"].git, "git@host:acme/app.git");
    assert_eq!(settings.repos["https"].git, "https://host/acme/app.git");
    assert_eq!(settings.repos["absolute"].git, "/srv/app.git");
    let ExecutorSettings::Command(command) = &settings.executors["mine"] else { panic!("a command line") };
    assert_eq!(command.start, [text("agent.sh").replace("agent.sh", "./agent.sh"), "./stays".to_owned()]);
    assert_eq!(command.resume[0], "claude");
    let DoorbellSettings::Webhook { url, .. } = &settings.doorbells["hook"] else { panic!("a webhook") };
    assert_eq!(*url, SecretSource::File(place.path("hook-url")));
    let chat = SlackSettings::Webhook(SecretSource::File(place.path("chat-url")));
    assert_eq!(settings.doorbells["chat"], DoorbellSettings::Slack(chat));
    let DoorbellSettings::Ntfy { url, topic, .. } = &settings.doorbells["phone"] else { panic!("ntfy") };
    assert_eq!((url.as_str(), topic), ("https://ntfy.sh/", &SecretSource::File(place.path("topic"))));
}

#[test]
fn each_layer_goes_over_the_one_below() {
    let place =
        Place::new("data = \"from-file\"\npoll_interval = \"5m\"\n[tracker]\nkind = \"local\"\nlogin = \"file\"\n");
    let variables = [
        ("AFK_DATA", "from-variable"),
        ("AFK_TRACKER__LOGIN", "variable"),
        ("AFK_TRACKER__PEOPLE__MARA", "write"),
        ("AFK_IDENTITY__AGENTS", "[robot, droid]"),
        ("HOME", "/nowhere"),
    ];
    let settings = place.load_with(None, &variables, &[("data", "/from-flag".to_owned())]).unwrap();
    assert_eq!(settings.data, Path::new("/from-flag"));
    assert_eq!(settings.poll_interval, Duration::from_secs(300));
    assert_eq!(settings.identity.agents, ["robot", "droid"]);
    let TrackerSettings::Local { login, people } = settings.tracker else { panic!("the local tracker") };
    assert_eq!((login.as_str(), people["mara"].as_str()), ("variable", "write"));
}

#[test]
fn the_file_is_the_flag_s_then_the_variable_s_then_the_one_that_lies_here() {
    let place = Place::new(SMALL);
    std::fs::create_dir(place.path("other")).unwrap();
    std::fs::write(place.path("other/mine.toml"), SMALL).unwrap();
    std::fs::write(place.path("third.toml"), SMALL).unwrap();
    let variable = [("AFK_SETTINGS", "other/mine.toml")];
    let settings = place.load(&variable).unwrap();
    assert_eq!(settings.file, Some(place.path("other/mine.toml")));
    assert_eq!(settings.data, place.path("other/.afk"));
    let settings = place.load_with(Some(Path::new("third.toml")), &variable, &[]).unwrap();
    assert_eq!(settings.file, Some(place.path("third.toml")));
}

#[test]
fn variables_that_are_no_settings_are_left_out() {
    let place = Place::new(&format!(
        "{SMALL}[identity]\nrecord_keys = [{{ variable = \"AFK_RECORD_KEY\" }}]\n[executors.a]\nkind = \"command\"\nstart = [\"a\"]\nresume = [\"a\"]\nenvironment = [\"AFK_AGENT_KEY\"]\n"
    ));
    let variables = [
        ("AFK_KILL_SWITCH", "true"),
        ("AFK_POLICY", "p.toml"),
        ("AFK_CONTRACTS", "x"),
        ("AFK_RUN", "x"),
        ("AFK_RECORD_KEY", "hunter2"),
        ("AFK_AGENT_KEY", "hunter2"),
    ];
    place.load(&variables).unwrap();
}

#[test]
fn neither_agents_nor_ci_see_a_secret_of_afk() {
    let agent =
        "[executors.a]\nkind = \"command\"\nstart = [\"a\"]\nresume = [\"a\"]\nenvironment = [\"PATH\", \"KEY\"]\n";
    let ci = "[ci.test]\ncommand = [\"make\"]\nenvironment = [\"KEY\"]\n";
    let key = "{ variable = \"KEY\" }";
    for (secret, keys) in [
        (format!("[tracker]\nkind = \"github\"\ntoken = {key}\n"), "tracker.token"),
        (
            format!("[tracker]\nkind = \"github\"\napp = {{ id = 1, installation = 2, key = {key} }}\n"),
            "tracker.app.key",
        ),
        (format!("{SMALL}[identity]\nrecord_keys = [{{ file = \"new\" }}, {key}]\n"), "identity.record_keys"),
        (format!("{SMALL}[doorbells.b]\nkind = \"webhook\"\nurl = {key}\n"), "doorbells.b.url"),
        (
            format!("{SMALL}[doorbells.b]\nkind = \"webhook\"\nurl = {{ file = \"u\" }}\nsecret = {key}\n"),
            "doorbells.b.secret",
        ),
        (format!("{SMALL}[doorbells.b]\nkind = \"slack\"\nwebhook = {key}\n"), "doorbells.b.webhook"),
        (format!("{SMALL}[doorbells.b]\nkind = \"slack\"\ntoken = {key}\nchannel = \"C1\"\n"), "doorbells.b.token"),
        (format!("{SMALL}[doorbells.b]\nkind = \"ntfy\"\ntopic = {key}\n"), "doorbells.b.topic"),
    ] {
        for (seen, table) in [(agent, "executors.a"), (ci, "ci.test")] {
            let said = complaint(&format!("{secret}{seen}"));
            let both =
                [format!("`{table}.environment` lets `KEY` through"), format!("secret of afk: `{keys}` at DIR/afk.")];
            assert!(both.iter().all(|words| said.contains(words)), "{said}");
            Place::new(&format!("{secret}{}", seen.replace("KEY", "OTHER"))).load(&[]).unwrap();
        }
    }
    let said = complaint(&format!("{SMALL}[identity]\nrecord_keys = [{key}]\n{ci}"));
    let expected = "DIR/afk.settings.toml:7:1: `ci.test.environment` lets `KEY` through, which holds a secret of afk: \
                    `identity.record_keys` at DIR/afk.settings.toml:4:1; give either another variable";
    assert_eq!(said, expected);
}

#[test]
fn without_any_file_variables_are_enough() {
    let place = Place::new("");
    std::fs::remove_file(place.path("afk.settings.toml")).unwrap();
    let settings = place.load(&[("AFK_TRACKER__KIND", "local")]).unwrap();
    assert_eq!(settings.file, None);
    assert_eq!(settings.data, place.path(".afk"));
    assert_eq!(
        place.load(&[]).unwrap_err(),
        "settings: nothing is said about `tracker`; add `[tracker]` to a file `afk.settings.toml` here, or name one with `--settings`"
    );
}

#[test]
fn what_is_wrong_in_the_file_is_said_with_its_place() {
    let executor = "[executors.mine]\nkind = \"command\"\nstart = [\"a\"]\nresume = [\"a\"]\n";
    for (text, expected) in [
        (String::new(), "settings: nothing is said about `tracker`; add `[tracker]` to DIR/afk.settings.toml"),
        (format!("dta = \"x\"\n{SMALL}"), "DIR/afk.settings.toml:1:1: `dta` is no setting; did you mean `data`?"),
        (
            format!("{SMALL}[identity]\n  agent = [\"x\"]\n"),
            "DIR/afk.settings.toml:4:3: `identity.agent` is no setting; did you mean `agents`?",
        ),
        (
            format!("{SMALL}logn = \"x\"\n"),
            "DIR/afk.settings.toml:3:1: `tracker.logn` is no setting; did you mean `login`?",
        ),
        (
            "[tracker]\nkind = \"locl\"\n".to_owned(),
            "DIR/afk.settings.toml:2:1: `tracker.kind`: `locl` is not possible here; did you mean `local`?",
        ),
        (
            format!("poll_interval = \"often\"\n{SMALL}"),
            "DIR/afk.settings.toml:1:1: `poll_interval`: `often` is not a duration; write \"90s\", \"45m\", \"2h\", \"1d\" or \"1h30m\"",
        ),
        (
            format!("poll_interval = \"0s\"\n{SMALL}"),
            "DIR/afk.settings.toml:1:1: `poll_interval` must be longer than nothing",
        ),
        (
            format!("call_timeout = 60\n{SMALL}"),
            "DIR/afk.settings.toml:1:1: `call_timeout` should be a string, and is the number 60",
        ),
        (
            format!("{SMALL}{executor}grace = \"10 seconds\"\n"),
            "DIR/afk.settings.toml:7:1: `executors.mine.grace`: `10 seconds` is not a duration; write \"90s\", \"45m\", \"2h\", \"1d\" or \"1h30m\"",
        ),
        (
            format!("{SMALL}{executor}output_limit_bytes = -1\n"),
            "DIR/afk.settings.toml:7:1: `executors.mine.output_limit_bytes` should be a whole number, 0 or more, and is the number -1",
        ),
        (
            format!("{SMALL}{executor}otput = \"claude\"\n"),
            "DIR/afk.settings.toml:7:1: `executors.mine.otput` is no setting; did you mean `output`?",
        ),
        (
            format!("{SMALL}{executor}output = \"cluade\"\n"),
            "DIR/afk.settings.toml:7:1: `executors.mine.output`: `cluade` is not possible here; did you mean `claude`?",
        ),
        (
            format!("{SMALL}[executors.mine]\nkind = \"command\"\nstart = [\"a\"]\n"),
            "DIR/afk.settings.toml:3:12: `executors.mine` lacks `resume`",
        ),
        (
            format!("{SMALL}[executors.mine]\nkind = \"command\"\nstart = []\nresume = [\"a\"]\n"),
            "DIR/afk.settings.toml:5:1: `executors.mine.start` names no program",
        ),
        (
            format!("{SMALL}[executors.mine]\nkind = \"command\"\nstart = [\"a\", \"{{promt}}\"]\nresume = [\"a\"]\n"),
            "DIR/afk.settings.toml:5:1: `executors.mine.start` has a place `{promt}` that nothing fills; did you mean `prompt`?",
        ),
        (
            format!(
                "{SMALL}[executors.mine]\nkind = \"command\"\nstart = [\"a\", \"{{session}}\"]\nresume = [\"a\"]\n"
            ),
            "DIR/afk.settings.toml:5:1: `executors.mine.start` has a place `{session}`, and there is no session yet",
        ),
        (format!("{SMALL}[repos.app]\nissues = \"x\"\n"), "DIR/afk.settings.toml:3:8: `repos.app` lacks `git`"),
        (format!("{SMALL}[repos.app\n"), "DIR/afk.settings.toml:3:11: is no TOML: unclosed table, expected `]`"),
        (
            format!("{SMALL}[doorbells.hook]\nkind = \"webhook\"\nurl = \"https://host/T0KEN\"\n"),
            "DIR/afk.settings.toml:5:1: `doorbells.hook.url` should be `{ variable = \"NAME\" }` or `{ file = \"PATH\" }`; a secret is never in the settings",
        ),
        (
            format!("{SMALL}[doorbells.chat]\nkind = \"slack\"\n"),
            "DIR/afk.settings.toml:3:12: `doorbells.chat`: needs a `webhook`, or a `token` and a `channel`",
        ),
        (
            format!("{SMALL}[doorbells.chat]\nkind = \"slack\"\nwebhook = \"https://hooks.slack.com/T0KEN\"\n"),
            "DIR/afk.settings.toml:5:1: `doorbells.chat.webhook` should be `{ variable = \"NAME\" }` or `{ file = \"PATH\" }`; a secret is never in the settings",
        ),
        (
            format!(
                "{SMALL}[doorbells.chat]\nkind = \"slack\"\nwebhook = {{ variable = \"A\" }}\ntoken = {{ variable = \"B\" }}\n"
            ),
            "DIR/afk.settings.toml:6:1: `doorbells.chat.token`: `webhook` and `token` exclude each other",
        ),
        (
            format!("{SMALL}[doorbells.chat]\nkind = \"slack\"\nwebhook = {{ variable = \"A\" }}\nchannel = \"C1\"\n"),
            "DIR/afk.settings.toml:6:1: `doorbells.chat.channel`: a webhook brings its channel itself",
        ),
        (
            format!("{SMALL}[doorbells.chat]\nkind = \"slack\"\ntoken = {{ variable = \"B\" }}\n"),
            "DIR/afk.settings.toml:5:1: `doorbells.chat.token`: needs a `channel`: its id, such as `C0123456789`",
        ),
        (
            format!(
                "{SMALL}[doorbells.chat]\nkind = \"slack\"\nurl = \"http://slack.com/api\"\nchannel = \"C1\"\ntoken = {{ variable = \"B\" }}\n"
            ),
            "DIR/afk.settings.toml:5:1: `doorbells.chat.url`: should be an https address, such as `https://host/path` (http on this machine only)",
        ),
        (
            format!("{SMALL}[doorbells.chat]\nkind = \"slack\"\nchanel = \"C1\"\ntoken = {{ variable = \"B\" }}\n"),
            "DIR/afk.settings.toml:5:1: `doorbells.chat.chanel` is no setting; did you mean `channel`?",
        ),
        (
            format!(
                "{SMALL}[doorbells.phone]\nkind = \"ntfy\"\nurl = \"https://ntfy.sh/mine\"\ntopic = {{ variable = \"B\" }}\n"
            ),
            "DIR/afk.settings.toml:5:1: `doorbells.phone.url` is the address of the server alone; the topic goes into `topic`",
        ),
        (
            format!(
                "{SMALL}[doorbells.phone]\nkind = \"ntfy\"\nurl = \"https://me:S3CRET@ntfy.sh\"\ntopic = {{ variable = \"B\" }}\n"
            ),
            "DIR/afk.settings.toml:5:1: `doorbells.phone.url`: should be an https address, such as `https://host/path` (http on this machine only)",
        ),
        (
            format!(
                "{SMALL}[doorbells.chat]\nkind = \"slack\"\nurl = \"https://x\"\nwebhook = {{ variable = \"A\" }}\n"
            ),
            "DIR/afk.settings.toml:5:1: `doorbells.chat.url`: a webhook brings its address itself",
        ),
        (
            format!("{SMALL}[doorbells.phone]\nkind = \"ntfy\"\n"),
            "DIR/afk.settings.toml:3:12: `doorbells.phone` lacks `topic`",
        ),
    ] {
        assert_eq!(complaint(&text), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_in_a_variable_or_flag_is_said_with_its_name() {
    let place = Place::new(SMALL);
    for (name, value, expected) in [
        ("AFK_TRACKER__LOGN", "x", "variable `AFK_TRACKER__LOGN`: `tracker.logn` is no setting; did you mean `login`?"),
        ("AFK_TRAKER__LOGIN", "x", "variable `AFK_TRAKER__LOGIN`: `traker` is no setting; did you mean `tracker`?"),
        (
            "AFK_GITHUB_TOKEN",
            "ghp_hunter2",
            "variable `AFK_GITHUB_TOKEN`: `github_token` is no setting; if it holds a secret, name it in the settings: \
             `{ variable = \"AFK_GITHUB_TOKEN\" }`; else unset it",
        ),
        (
            "AFK_POL_INTERVAL",
            "5m",
            "variable `AFK_POL_INTERVAL`: `pol_interval` is no setting; did you mean `poll_interval`?",
        ),
        (
            "AFK_POLL_INTERVAL",
            "often",
            "variable `AFK_POLL_INTERVAL`: `poll_interval`: `often` is not a duration; write \"90s\", \"45m\", \"2h\", \"1d\" or \"1h30m\"",
        ),
        (
            "AFK_TRACKER__PEOPLE",
            "x",
            "variable `AFK_TRACKER__PEOPLE`: `tracker.people` should be a table, and is a string",
        ),
    ] {
        assert_eq!(place.load(&[(name, value)]).unwrap_err(), expected);
    }
    let error = place.load_with(None, &[], &[("watch_interval", "x".to_owned())]).unwrap_err();
    assert!(error.starts_with("--watch_interval: `watch_interval`: `x` is not a duration"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_safely_is_refused() {
    let place = Place::new(SMALL);
    std::os::unix::fs::symlink(place.path("afk.settings.toml"), place.path("link.toml")).unwrap();
    std::fs::write(place.path("big.toml"), " ".repeat(1024 * 1024 + 1)).unwrap();
    std::fs::write(place.path("latin1.toml"), b"data = \"\xe9\"\n").unwrap();
    for (name, expected) in [
        ("link.toml", "DIR/link.toml: the settings cannot be read: it is a symbolic link"),
        ("big.toml", "DIR/big.toml: the settings cannot be read: it is larger than 1048576 bytes"),
        ("latin1.toml", "DIR/latin1.toml: the settings cannot be read: it is not UTF-8"),
        (".", "DIR: the settings cannot be read: it is not a regular file"),
        ("none.toml", "DIR/none.toml: the settings cannot be read: No such file or directory (os error 2)"),
    ] {
        assert_eq!(place.load_with(Some(Path::new(name)), &[], &[]).unwrap_err(), expected);
    }
    // A link in place of the default file is no absent file.
    std::fs::remove_file(place.path("big.toml")).unwrap();
    std::fs::rename(place.path("afk.settings.toml"), place.path("real.toml")).unwrap();
    std::os::unix::fs::symlink(place.path("real.toml"), place.path("afk.settings.toml")).unwrap();
    assert!(place.load(&[]).unwrap_err().contains("symbolic link"));
}

#[test]
fn a_secret_is_read_afresh_without_white_space_around_it() {
    let place = Place::new(SMALL);
    let path = place.path("secret");
    let source = SecretSource::File(path.clone());
    std::fs::write(&path, " one\n").unwrap();
    assert_eq!(source.read().unwrap().expose_secret(), "one");
    std::fs::write(&path, "two").unwrap();
    let secret = source.read().unwrap();
    assert_eq!(secret.expose_secret(), "two");
    assert!(!format!("{secret:?}").contains("two"));
    std::fs::write(&path, "\n").unwrap();
    assert_eq!(
        source.read().unwrap_err().to_string(),
        format!("the file `{}`, which should hold a secret, is empty", path.display())
    );
    let variable = SecretSource::Variable("AFK_TEST_NO_SUCH_VARIABLE".to_owned());
    assert_eq!(
        variable.read().unwrap_err().to_string(),
        "the variable `AFK_TEST_NO_SUCH_VARIABLE`, which should hold a secret, is not set; export it where afk runs, or name another one in the settings"
    );
}

#[test]
fn github_needs_no_more_than_a_token() {
    let place = Place::new("[tracker]\nkind = \"github\"\ntoken = { file = \"token\" }\n");
    let TrackerSettings::Github(github) = place.load(&[]).unwrap().tracker else { panic!("GitHub") };
    assert_eq!(github.url.as_str(), "https://api.github.com/");
    assert_eq!(github.token, Some(SecretSource::File(place.path("token"))));
    assert_eq!((github.app, github.reserve, github.requests_per_tick), (None, 500, 300));
    assert_eq!(github.log_hosts, ["*.blob.core.windows.net", "*.actions.githubusercontent.com"]);

    let app = "app = { id = 1, installation = 2, key = { file = \"app.pem\" } }";
    let place = Place::new(&format!("[tracker]\nkind = \"github\"\nurl = \"http://127.0.0.1:80/\"\n{app}\n"));
    let TrackerSettings::Github(github) = place.load(&[]).unwrap().tracker else { panic!("GitHub") };
    assert_eq!(github.app.unwrap().key, SecretSource::File(place.path("app.pem")));
}

fn t3(settings: &Settings) -> &T3ExecutorSettings {
    let ExecutorSettings::T3(t3) = &settings.executors["t3"] else { panic!("T3 Code") };
    t3
}

#[test]
fn t3_code_on_this_machine_needs_an_address_and_a_token() {
    let place = Place::new(&format!(
        "{SMALL}[executors.t3]\nkind = \"t3\"\nurl = \"http://127.0.0.1:3773\"\ntoken = {{ file = \"t3-token\" }}\n"
    ));
    let settings = place.load(&[]).unwrap();
    let T3ExecutorSettings { url, token, provider, checkouts } = t3(&settings);
    assert_eq!(url.as_str(), "http://127.0.0.1:3773/");
    assert_eq!(*token, SecretSource::File(place.path("t3-token")));
    assert_eq!((provider.as_str(), checkouts), ("claudeAgent", &None));
}

#[test]
fn the_checkouts_of_t3_code_on_another_machine_are_its_own() {
    let place = Place::new(&format!(
        "{SMALL}[executors.t3]\nkind = \"t3\"\nurl = \"https://t3.acme.dev\"\ntoken = {{ variable = \"AFK_T3_TOKEN\" }}\n\
         provider = \"codex\"\ncheckouts = \"/srv/work\"\n"
    ));
    let settings = place.load(&[("AFK_T3_TOKEN", "S3CRET")]).unwrap();
    let T3ExecutorSettings { provider, checkouts, .. } = t3(&settings);
    assert_eq!((provider.as_str(), checkouts.as_deref()), ("codex", Some(Path::new("/srv/work"))));
}

#[test]
fn what_is_wrong_with_the_settings_of_t3_code_is_said_with_its_place() {
    let with = |lines: &str| complaint(&format!("{SMALL}[executors.t3]\nkind = \"t3\"\n{lines}"));
    let url = "url = \"http://127.0.0.1:3773\"\n";
    let token = "token = { variable = \"T\" }\n";
    for (lines, expected) in [
        (token.to_owned(), "DIR/afk.settings.toml:3:12: `executors.t3` lacks `url`"),
        (url.to_owned(), "DIR/afk.settings.toml:3:12: `executors.t3` lacks `token`"),
        (
            format!("{url}token = \"S3CRET\"\n"),
            "DIR/afk.settings.toml:6:1: `executors.t3.token` should be `{ variable = \"NAME\" }` or `{ file = \"PATH\" }`; a secret is never in the settings",
        ),
        (
            format!("url = \"http://t3.acme.dev\"\n{token}"),
            "DIR/afk.settings.toml:5:1: `executors.t3.url`: should be an https address, such as `https://host/path` (http on this machine only)",
        ),
        (
            format!("url = \"http://127.0.0.1:3773/api\"\n{token}"),
            "DIR/afk.settings.toml:5:1: `executors.t3.url` is the address of the server alone, such as `http://127.0.0.1:3773`; afk adds the paths",
        ),
        (
            format!("url = \"https://t3.acme.dev\"\n{token}"),
            "DIR/afk.settings.toml:5:1: `executors.t3.url` is another machine, where afk can make no clones: add `checkouts`, the folder there that has the repository `owner/name` at `owner/name`",
        ),
        (
            format!("{url}{token}checkouts = \"work\"\n"),
            "DIR/afk.settings.toml:7:1: `executors.t3.checkouts` is a folder of the machine that T3 Code runs on, so it must begin with `/`; `work` does not",
        ),
        (
            format!("{url}{token}provider = \" \"\n"),
            "DIR/afk.settings.toml:7:1: `executors.t3.provider` must name a provider instance of T3 Code, such as `claudeAgent` or `codex`",
        ),
        (
            format!("{url}{token}provder = \"codex\"\n"),
            "DIR/afk.settings.toml:7:1: `executors.t3.provder` is no setting; did you mean `provider`?",
        ),
    ] {
        assert_eq!(with(&lines), expected);
    }
    assert_eq!(
        complaint(&format!("{SMALL}[executors.\"../t3\"]\nkind = \"t3\"\n{url}{token}")),
        "DIR/afk.settings.toml:3:12: `executors.../t3` may have letters, digits, `-` and `_` in its name only"
    );
}

#[test]
fn no_agent_sees_the_token_of_t3_code() {
    let complaint = complaint(&format!(
        "{SMALL}[executors.t3]\nkind = \"t3\"\nurl = \"http://[::1]:3773\"\ntoken = {{ variable = \"T3\" }}\n\
         [executors.mine]\nkind = \"command\"\nstart = [\"a\"]\nresume = [\"a\"]\nenvironment = [\"T3\"]\n"
    ));
    assert_eq!(
        complaint,
        "DIR/afk.settings.toml:11:1: `executors.mine.environment` lets `T3` through, which holds a secret of afk: `executors.t3.token` at DIR/afk.settings.toml:6:1; give either another variable"
    );
}

#[test]
fn what_is_wrong_with_the_settings_of_github_is_said_with_its_place() {
    let token = "token = { variable = \"TOKEN\" }";
    let app = |id: u64, installation: u64| {
        format!("app = {{ id = {id}, installation = {installation}, key = {{ variable = \"KEY\" }} }}")
    };
    for (lines, expected) in [
        (
            String::new(),
            "DIR/afk.settings.toml:1:2: `tracker` lacks `token`; add `token = { variable = \"AFK_GITHUB_TOKEN\" }`, or \
             `app` with an App's `id`, `installation` and `key`",
        ),
        (
            format!("{token}\n{}", app(1, 2)),
            "DIR/afk.settings.toml:4:1: `tracker.app` and `tracker.token` are both there; afk is one account: keep one of them",
        ),
        (app(0, 2), "DIR/afk.settings.toml:3:9: `tracker.app.id` must be the id of a GitHub App"),
        (
            app(1, 0),
            "DIR/afk.settings.toml:3:17: `tracker.app.installation` must be the id of an installation of the App",
        ),
        (
            format!("{token}\nurl = \"http://git.example.org/api/v3\""),
            "DIR/afk.settings.toml:4:1: `tracker.url`: should be an https address, such as `https://host/path` (http on this machine only)",
        ),
        (
            format!("{token}\nurl = \"https://ada@git.example.org\""),
            "DIR/afk.settings.toml:4:1: `tracker.url`: should be an https address, such as `https://host/path` (http on this machine only)",
        ),
        (
            format!("{token}\nurl = \"git.example.org\""),
            "DIR/afk.settings.toml:4:1: `tracker.url`: should be an https address, such as `https://host/path` (http on this machine only)",
        ),
        (
            format!("{token}\nurl = \"https://github.com\""),
            "DIR/afk.settings.toml:4:1: `tracker.url` is where people look at GitHub; its API is at `https://api.github.com`",
        ),
        (
            format!("{token}\nurl = \"https://www.github.com/\""),
            "DIR/afk.settings.toml:4:1: `tracker.url` is where people look at GitHub; its API is at `https://api.github.com`",
        ),
        (
            format!("{token}\nurl = \"https://acme.ghe.com\""),
            "DIR/afk.settings.toml:4:1: `tracker.url` is where people look at GitHub; its API is at `https://api.acme.ghe.com`",
        ),
        (
            format!("{token}\nurl = \"https://git.example.org:8443/\""),
            "DIR/afk.settings.toml:4:1: `tracker.url` is where people look at GitHub; its API is at \
             `https://git.example.org:8443/api/v3`",
        ),
        (
            "token = { variable = \"TOKEN\", file = \"token\" }".to_owned(),
            "DIR/afk.settings.toml:3:1: `tracker.token` should be either `{ variable = \"NAME\" }` or `{ file = \"PATH\" }`",
        ),
        (
            format!("{token}\nrequests_per_tick = 0"),
            "DIR/afk.settings.toml:4:1: `tracker.requests_per_tick` must be more than nothing",
        ),
        (
            format!("{token}\nlog_hosts = [\"logs.example.org\", \"*\"]"),
            "DIR/afk.settings.toml:4:1: `tracker.log_hosts` must be names of hosts, `*.` for any below one; `*` is none",
        ),
        (
            format!("{token}\nlog_hosts = [\"https://logs.example.org/\"]"),
            "DIR/afk.settings.toml:4:1: `tracker.log_hosts` must be names of hosts",
        ),
        (
            format!("{token}\nlog_hosts = [\"*.com\"]"),
            "DIR/afk.settings.toml:4:1: `tracker.log_hosts` must be names of hosts",
        ),
        (
            format!("{token}\nreserve = -1"),
            "DIR/afk.settings.toml:4:1: `tracker.reserve` should be a whole number, 0 or more, and is the number -1",
        ),
        (format!("{token}\nlogin = \"afk\""), "DIR/afk.settings.toml:4:1: `tracker.login` is no setting"),
        (
            "token = \"ghp_hunter2\"".to_owned(),
            "DIR/afk.settings.toml:3:1: `tracker.token` should be `{ variable = \"NAME\" }` or `{ file = \"PATH\" }`; a \
             secret is never in the settings",
        ),
    ] {
        let said = complaint(&format!("[tracker]\nkind = \"github\"\n{lines}\n"));
        assert!(said.starts_with(expected), "{said}\n{expected}");
    }
}

#[test]
fn a_session_that_plain_text_never_tells_cannot_be_resumed() {
    let settings = |output: &str| {
        format!(
            "{SMALL}[executors.mine]\nkind = \"command\"\nstart = [\"a\"]\nresume = [\"a\", \"{{session}}\"]\n{output}"
        )
    };
    for output in ["", "output = \"text\"\n"] {
        assert_eq!(
            complaint(&settings(output)),
            "DIR/afk.settings.toml:6:1: `executors.mine.resume` has a place `{session}`, which only `output = \"claude\"` \
             and `output = \"codex\"` can fill"
        );
    }
    for output in ["output = \"claude\"\n", "output = \"codex\"\n"] {
        Place::new(&settings(output)).load(&[]).unwrap();
    }
}

#[test]
fn a_permission_that_nobody_can_have_is_an_error_at_the_person() {
    for (word, meant) in
        [("writer", "; did you mean `write`?"), ("WRITE", "; did you mean"), ("owner", "; possible are")]
    {
        let said = complaint(&format!("{SMALL}[tracker.people]\nada = \"admin\"\nleo = \"{word}\"\n"));
        let wanted = format!("DIR/afk.settings.toml:5:1: `tracker.people.leo` cannot be `{word}`");
        assert!(said.starts_with(&wanted) && said.contains(meant), "{said}");
    }
    let said = Place::new(SMALL).load(&[("AFK_TRACKER__PEOPLE__LEO", "writer")]).unwrap_err();
    assert!(said.starts_with("variable `AFK_TRACKER__PEOPLE__LEO`: `tracker.people.leo` cannot be `writer`"), "{said}");
}
