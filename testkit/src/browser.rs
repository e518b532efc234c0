//! A real browser that looks at the page: Chromium, spoken to as W3C WebDriver says.
//!
//! Owns the driver's process, finding things by role and name, and what is kept when a test fails; it must
//! not know any page. Invariant: nothing is looked for without a bound, and nothing outlives the value.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::{
    counterpart::{Unavailable, http::request},
    product::pause,
};

/// What `REQUIRE_COUNTERPARTS` calls it.
const NAME: &str = "browser";
/// The driver listens after a moment; a machine with all cores taken needs far more.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// What a page shows comes within a second; a machine with all cores taken needs far more.
const SOON: Duration = Duration::from_secs(30);
/// What the driver says before its port.
const READY_WORDS: &str = "started successfully on port ";
/// Ends the whole group when its input closes, which the kernel does even when the test process is killed.
const SUPERVISOR: &str = "command -v chromedriver >/dev/null || exit 1; chromedriver --port=0 & read -r; kill -KILL -- -$$";
/// How the standard names an element in answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Nothing from elsewhere: no updates, no sync, no QUIC; `--no-sandbox` since tests run as root in containers.
const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

/// A browser with one window and a profile of its own.
pub struct Browser {
    driver: Child,
    session: String,
    test: String,
    pictures: PathBuf,
    _profile: tempfile::TempDir,
}

/// Something on the page; it goes stale when the page draws it anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element(String);

/// How to find something.
#[derive(Debug, Clone, Copy)]
pub enum By<'a> {
    /// By what it is and what it is called, as assistive technology has it.
    Role(&'a str, &'a str),
    /// By what it is and how its name begins.
    RoleLike(&'a str, &'a str),
    /// By a CSS selector.
    Css(&'a str),
    /// By an XPath expression.
    XPath(&'a str),
}

impl Browser {
    /// Starts a browser for a test; `pictures` is where a picture is put when the test fails.
    ///
    /// Fails when browser or driver are not installed or do not start.
    pub fn start(test: &str, pictures: &str) -> Result<Self, Unavailable> {
        let broken = |reason: String| Unavailable::new(NAME, reason);
        let profile = tempfile::tempdir().map_err(|error| broken(error.to_string()))?;
        let mut driver = Command::new("bash")
            .args(["-c", SUPERVISOR])
            // Fonts' caches and crash reports go there too.
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A group of its own: the end takes the browser along.
            .process_group(0)
            .spawn()
            .map_err(|error| broken(format!("bash could not be started: {error}")))?;
        let port = port_of(&mut driver);
        let mut browser = Self {
            driver,
            session: String::new(),
            test: test.to_owned(),
            pictures: pictures.into(),
            _profile: profile,
        };
        let port = port.ok_or_else(|| {
            broken("chromedriver does not start (Debian: chromium, chromium-driver)".into())
        })?;
        let url = format!("http://127.0.0.1:{port}/session");
        let made = send("POST", &url, &browser.capabilities()).map_err(broken)?;
        let id = made["sessionId"]
            .as_str()
            .ok_or_else(|| broken("no session".into()))?;
        browser.session = format!("{url}/{id}");
        Ok(browser)
    }

    fn capabilities(&self) -> Value {
        let profile = format!("--user-data-dir={}", self._profile.path().display());
        let args: Vec<&str> = FLAGS.into_iter().chain([profile.as_str()]).collect();
        json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}})
    }

    /// Goes to an address and waits until the document has been read.
    ///
    /// # Panics
    /// When the browser cannot.
    pub fn open(&self, url: &str) {
        self.must("POST", "url", json!({"url": url}));
    }

    /// The address as it is now.
    ///
    /// # Panics
    /// When the browser does not say.
    pub fn address(&self) -> String {
        self.must("GET", "url", Value::Null)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits until something is shown, and gives it.
    ///
    /// # Panics
    /// When it is not shown within a bound.
    pub fn find(&self, by: By<'_>) -> Element {
        self.wait_until(&format!("{by:?}"), || self.shown(by).into_iter().next())
    }

    /// Everything of the kind that is shown now.
    pub fn shown(&self, by: By<'_>) -> Vec<Element> {
        let (using, value) = match by {
            By::Role(role, _) | By::RoleLike(role, _) => ("css selector", candidates(role)),
            By::Css(selector) => ("css selector", selector.to_owned()),
            By::XPath(expression) => ("xpath", expression.to_owned()),
        };
        let found = self.ask("POST", "elements", json!({"using": using, "value": value}));
        let found = found
            .ok()
            .and_then(|found| found.as_array().cloned())
            .unwrap_or_default();
        let ids = found.iter().filter_map(|one| one[ELEMENT].as_str());
        ids.map(|id| Element(id.to_owned()))
            .filter(|one| self.is_meant(one, by))
            .collect()
    }

    // An element that goes stale meanwhile is not meant: the next look finds its successor.
    fn is_meant(&self, element: &Element, by: By<'_>) -> bool {
        let says =
            |what: &str| self.ask("GET", &format!("element/{}/{what}", element.0), Value::Null);
        let is_named = match by {
            // Chromium 148 leaves the space before a field in its label.
            By::Role(_, name) => says("computedlabel")
                .is_ok_and(|said| said.as_str().is_some_and(|said| said.trim() == name)),
            By::RoleLike(_, start) => says("computedlabel")
                .is_ok_and(|said| said.as_str().is_some_and(|said| said.starts_with(start))),
            By::Css(_) | By::XPath(_) => true,
        };
        is_named && says("displayed").is_ok_and(|said| said == true)
    }

    /// An attribute of something, if it is still there and has it.
    pub fn attribute(&self, element: &Element, name: &str) -> Option<String> {
        let said = self.ask(
            "GET",
            &format!("element/{}/attribute/{name}", element.0),
            Value::Null,
        );
        said.ok()?.as_str().map(str::to_owned)
    }

    /// What a field holds, if it is still there.
    pub fn value(&self, element: &Element) -> Option<String> {
        let said = self.ask(
            "GET",
            &format!("element/{}/property/value", element.0),
            Value::Null,
        );
        said.ok()?.as_str().map(str::to_owned)
    }

    /// Clicks on something as soon as it is shown and nothing covers it.
    ///
    /// # Panics
    /// When that does not come about within a bound.
    pub fn click(&self, by: By<'_>) {
        self.wait_until(&format!("a click on {by:?}"), || {
            let element = self.shown(by).into_iter().next()?;
            self.ask("POST", &format!("element/{}/click", element.0), json!({}))
                .ok()
        });
    }

    /// Replaces what a field holds.
    ///
    /// # Panics
    /// When the field does not come to hold the text within a bound.
    pub fn fill(&self, by: By<'_>, text: &str) {
        self.wait_until(&format!("{by:?} to be filled"), || {
            let element = self.shown(by).into_iter().next()?;
            let path = |what: &str| format!("element/{}/{what}", element.0);
            self.ask("POST", &path("clear"), json!({})).ok()?;
            self.ask("POST", &path("value"), json!({"text": text}))
                .ok()?;
            let held = self.ask("GET", &path("property/value"), Value::Null).ok()?;
            (held == text).then_some(())
        });
    }

    /// Types at something, after what it holds; for keys that no text has, and fields that take times.
    ///
    /// # Panics
    /// When it is not shown within a bound.
    pub fn type_at(&self, by: By<'_>, text: &str) {
        self.wait_until(&format!("{by:?} to be typed at"), || {
            let element = self.shown(by).into_iter().next()?;
            let path = format!("element/{}/value", element.0);
            self.ask("POST", &path, json!({"text": text})).ok()
        });
    }

    /// Waits until the page shows a text somewhere.
    ///
    /// # Panics
    /// When it does not within a bound.
    pub fn see(&self, text: &str) {
        self.wait_until(&format!("the text {text:?}"), || {
            self.text().contains(text).then_some(())
        });
    }

    /// Everything the page shows as text.
    pub fn text(&self) -> String {
        let said = self.ask(
            "POST",
            "execute/sync",
            script("return document.body.innerText", &[]),
        );
        said.ok()
            .and_then(|said| said.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// Runs a script in the page and gives what it returns.
    ///
    /// # Panics
    /// When the script throws.
    pub fn run(&self, text: &str, args: &[Value]) -> Value {
        self.must("POST", "execute/sync", script(text, args))
    }

    /// Gives the window a size, as of a phone.
    ///
    /// # Panics
    /// When the browser cannot.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.develop("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Lets the person prefer a colour scheme: `light` or `dark`.
    ///
    /// # Panics
    /// When the browser cannot.
    pub fn prefer_colours(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.develop("Emulation.setEmulatedMedia", features);
    }

    fn develop(&self, command: &str, parameters: Value) {
        self.must(
            "POST",
            "goog/cdp/execute",
            json!({"cmd": command, "params": parameters}),
        );
    }

    /// What the page or the browser complained about since the last call.
    ///
    /// # Panics
    /// When the browser does not say.
    pub fn console_errors(&self) -> Vec<String> {
        let entries = self.must("POST", "se/log", json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        severe
            .filter_map(|entry| entry["message"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Looks until `look` gives something, and gives that.
    ///
    /// # Panics
    /// When nothing came within a bound.
    pub fn wait_until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let shown = || {
                format!(
                    "{}\n{}",
                    self.ask("GET", "url", Value::Null).unwrap_or_default(),
                    self.text()
                )
            };
            assert!(
                began.elapsed() < SOON,
                "waited in vain for {what}; the page shows\n{}",
                shown()
            );
            pause();
        }
    }

    /// Puts a picture of the window where the test asked for, and gives its path.
    pub fn take_picture(&self, name: &str) -> Option<PathBuf> {
        let picture = self.ask("GET", "screenshot", Value::Null).ok()?;
        let bytes = STANDARD.decode(picture.as_str()?).ok()?;
        let path = self.pictures.join(format!("{name}.png"));
        std::fs::create_dir_all(&self.pictures).ok()?;
        std::fs::write(&path, bytes).ok()?;
        Some(path)
    }

    fn ask(&self, method: &str, what: &str, body: Value) -> Result<Value, String> {
        send(method, &format!("{}/{what}", self.session), &body)
    }

    fn must(&self, method: &str, what: &str, body: Value) -> Value {
        let answer = self.ask(method, what, body);
        answer.unwrap_or_else(|reason| panic!("the browser refused {what}: {reason}"))
    }

    fn tell_what_is_there(&self) {
        eprintln!(
            "── complaints of the page: {:#}",
            json!(self.ask("POST", "se/log", json!({"type": "browser"})).ok())
        );
        if let Some(path) = self.take_picture(&self.test) {
            let path: &Path = &path;
            eprintln!("── the page when the test failed: {}", path.display());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            if std::thread::panicking() {
                self.tell_what_is_there();
            }
            let _ = send("DELETE", &self.session, &Value::Null);
        }
        // The leader is not reaped yet, so its id, which is the group's, cannot have been reused.
        let _ = kill_process_group(Pid::from_child(&self.driver), Signal::KILL);
        let _ = self.driver.wait();
    }
}

fn script(text: &str, args: &[Value]) -> Value {
    json!({"script": text, "args": args})
}

/// One request to the driver; gives the member `value` of the answer.
fn send(method: &str, url: &str, body: &Value) -> Result<Value, String> {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let headers = [("content-type", "application/json")];
    let answer =
        request(method, url, &headers, text.as_bytes()).map_err(|error| error.to_string())?;
    let mut said = answer.json().map_err(|error| error.to_string())?;
    let value = said["value"].take();
    match answer.status {
        200 => Ok(value),
        _ => Err(format!("{}: {}", value["error"], value["message"])),
    }
}

/// What may have a role, in HTML or by attribute; the name then decides.
fn candidates(role: &str) -> String {
    let native = match role {
        "button" => "button, input[type=submit], summary",
        "link" => "a[href]",
        "textbox" => {
            "input:not([type]), input[type=text], input[type=email], input[type=password], input[type=url], \
             input[type=search], input[type=datetime-local], input[type=date], input[type=time], textarea"
        }
        "checkbox" | "switch" => "input[type=checkbox]",
        "radio" => "input[type=radio]",
        "combobox" => "select",
        "heading" => "h1, h2, h3, h4",
        "option" => "option",
        "region" => "section",
        "navigation" => "nav",
        "row" => "tr",
        "listitem" => "li",
        "dialog" => "dialog",
        _ => "",
    };
    let by_attribute = format!("[role={role}]");
    if native.is_empty() {
        by_attribute
    } else {
        format!("{native}, {by_attribute}")
    }
}

/// Waits for the line that names the port; reads on, so that the driver never blocks on a full pipe.
fn port_of(driver: &mut Child) -> Option<u16> {
    let stdout = driver.stdout.take()?;
    let (sender, ports) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some((_, port)) = line.split_once(READY_WORDS) {
                let _ = sender.send(port.trim_end_matches('.').parse().ok());
            }
        }
    });
    ports.recv_timeout(READY_TIMEOUT).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::{Browser, By};
    use crate::counterpart::or_skip;

    const PAGE: &str = "data:text/html,<title>T</title><button aria-label=Save onclick=\"document.body.append('saved');\
        console.error('oh')\">x</button><label>Name <input></label><button hidden>Gone</button>";

    #[test]
    fn things_are_found_by_role_and_name_and_complaints_are_heard() {
        let test = "things_are_found_by_role_and_name_and_complaints_are_heard";
        let pictures = std::env::temp_dir();
        let started = Browser::start(test, &pictures.display().to_string());
        let Some(browser) = or_skip(test, started) else {
            return;
        };
        browser.open(PAGE);
        browser.fill(By::Role("textbox", "Name"), "Ann");
        assert!(browser.shown(By::Role("button", "Gone")).is_empty());
        assert!(browser.console_errors().is_empty());
        browser.click(By::Role("button", "Save"));
        browser.see("saved");
        assert_eq!(browser.console_errors().len(), 1);
        browser.prefer_colours("dark");
        assert_eq!(
            browser.run(
                "return matchMedia('(prefers-color-scheme: dark)').matches",
                &[]
            ),
            true
        );
    }
}
