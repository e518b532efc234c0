//! The page in a real browser, served by the program itself.
//!
//! Things are found by role and name, as people with and without sight find them, so that a restyled page
//! passes. Skipped loudly where there is no browser, or no page in the program.

use so_testkit::{
    browser::{Browser, By},
    counterpart::{Unavailable, or_skip, skip_loudly},
    product::Product,
};

use serde_json::json;

use crate::desk::{Desk, PASSWORD, PROGRAM, text};

/// Where the picture of a failed test lies: `target/tmp`.
const PICTURES: &str = env!("CARGO_TARGET_TMPDIR");
/// A phone's window; nothing on it may be cut off.
const PHONE: (u32, u32) = (390, 844);
/// The browser itself says when the page opens without a session, and when a rule has no draft, shadow or
/// canary; the page handles it.
const EXPECTED: [&str; 4] = [
    "/api/v1/auth/refresh",
    "/draft - ",
    "/shadow - ",
    "/canary - ",
];

/// A browser before a newly started product, or none, said loudly.
fn before_the_page(test: &str) -> Option<(Product, Browser)> {
    let browser = or_skip(test, Browser::start(test, PICTURES))?;
    let product = Product::start(PROGRAM, &[]);
    module_of(&product, test)?;
    Some((product, browser))
}

/// The address of the page's module, or none, said loudly.
fn module_of(product: &Product, test: &str) -> Option<String> {
    let page = product.call("GET", "/", None, None);
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let mut words = text.split(['"', '\'']);
    let module = words.find(|word| word.ends_with(".wasm"));
    if page.status != 200 || module.is_none() {
        let reason = "the program was built without its page: cargo xtask ui".to_owned();
        skip_loudly(
            test,
            &Unavailable {
                counterpart: "page",
                reason,
            },
        );
        return None;
    }
    module.map(str::to_owned)
}

#[test]
fn a_reader_that_takes_no_brotli_gets_the_module_unpacked() {
    let product = Product::start(PROGRAM, &[]);
    let test = "a_reader_that_takes_no_brotli_gets_the_module_unpacked";
    let Some(module) = module_of(&product, test) else {
        return;
    };
    let told = product.call("GET", &module, None, None);
    assert_eq!(told.status, 200);
    assert!(told.body.starts_with(b"\0asm"), "{:?}", &told.body[..8]);
}

fn register(product: &Product, browser: &Browser, name: &str) {
    browser.open(&format!("{}/register", product.url()));
    browser.fill(By::Role("textbox", "Name"), name);
    browser.fill(
        By::Role("textbox", "E-mail"),
        &format!("{name}@example.org"),
    );
    browser.fill(By::Role("textbox", "Password"), PASSWORD);
    browser.click(By::Role("button", "Register"));
    browser.find(By::Role("link", "Rules"));
}

fn connect_sandbox(browser: &Browser) {
    browser.click(By::Role("link", "Accounts"));
    browser.click(By::Role("link", "Connect an account"));
    browser.click(By::RoleLike("button", "Sandbox"));
    browser.fill(By::Role("textbox", "Name"), "Trial");
    browser.click(By::Role("button", "Make the account"));
    browser.see("Trial is connected");
}

/// Sets the field for a time to some seconds ahead, in the browser's zone, which is the workspace's.
fn set_time(browser: &Browser, seconds: i64) {
    let script = "const at = new Date(Date.now() + arguments[0] * 1000);
        const two = (n) => String(n).padStart(2, '0');
        const field = document.querySelector('input[type=datetime-local]');
        field.step = 1;
        field.value = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T`
            + `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
        field.dispatchEvent(new Event('input', {bubbles: true}));
        return field.value";
    browser.find(By::RoleLike("textbox", "Time in"));
    browser.run(script, &[seconds.into()]);
}

/// No complaint but those that a browser makes of answers which are expected.
fn has_no_complaints(browser: &Browser) {
    let errors = browser.console_errors();
    let own: Vec<&String> = errors
        .iter()
        .filter(|error| !EXPECTED.iter().any(|known| error.contains(known)))
        .collect();
    assert!(own.is_empty(), "{own:#?}");
}

#[test]
fn a_newcomer_schedules_a_post_in_the_page_and_reads_why_it_went_out() {
    let test = "a_newcomer_schedules_a_post_in_the_page_and_reads_why_it_went_out";
    let Some((product, browser)) = before_the_page(test) else {
        return;
    };
    register(&product, &browser, "ada");
    connect_sandbox(&browser);

    browser.click(By::Role("link", "Posts"));
    browser.click(By::Role("link", "New post"));
    browser.click(By::RoleLike("button", "@trial"));
    browser.fill(By::Role("textbox", "Text"), "Hello");
    browser.see("99995 left");
    browser.fill(By::Role("textbox", "Text"), "Hello from a browser");
    browser.see("99980 left");
    browser.click(By::Role("radio", "At a time"));
    set_time(&browser, 3);
    browser.click(By::Role("button", "Schedule"));

    // From here on nobody presses anything: the server tells the page what became of the post.
    browser.see("Taken by the network");
    browser.see("Live since");
    browser.click(By::Role("link", "See the run"));
    browser.find(By::Role("heading", "When"));
    browser.see("post.due");
    browser.see("post.state is \"scheduled\"");
    browser.see("Publication");
    browser.see("Finished");

    browser.click(By::Role("link", "Sandbox"));
    browser.see("Hello from a browser");
    has_no_complaints(&browser);
}

#[test]
fn a_rule_is_switched_and_its_mistake_is_marked_at_its_line() {
    let test = "a_rule_is_switched_and_its_mistake_is_marked_at_its_line";
    let Some((product, browser)) = before_the_page(test) else {
        return;
    };
    register(&product, &browser, "grace");
    browser.click(By::Role("link", "Rules"));
    let switch = By::Role("switch", "Publish when due is on");
    let is = |state: &str| {
        browser.wait_until(&format!("the switch to be {state}"), || {
            let shown = browser.shown(switch).into_iter().next()?;
            (browser.attribute(&shown, "aria-checked")? == state).then_some(())
        });
    };
    is("true");
    browser.click(switch);
    is("false");
    browser.click(switch);
    is("true");

    browser.click(By::Role("link", "Publish when due"));
    let text = By::Role("textbox", "The rule");
    let field = browser.find(text);
    let before = browser.value(&field).unwrap();
    let line = before
        .lines()
        .position(|line| line.contains("action: post.publish"))
        .unwrap()
        + 1;
    browser.fill(
        text,
        &before.replace("action: post.publish", "action: post.publsh"),
    );
    browser.find(By::Role("button", &format!("Line {line}")));
    browser.click(By::Role(
        "button",
        "Write post.publish instead of post.publsh",
    ));
    browser.wait_until("the mistake to be put right", || {
        let field = browser.shown(text).into_iter().next()?;
        (browser.value(&field)? == before).then_some(())
    });
    browser.wait_until("the mark to go", || {
        browser
            .shown(By::Role("button", &format!("Line {line}")))
            .is_empty()
            .then_some(())
    });
    has_no_complaints(&browser);
}

/// Waits until the text of a field contains something, and answers it whole.
fn value_with(browser: &Browser, field: By, part: &str) -> String {
    browser.wait_until(&format!("a field with {part}"), || {
        let shown = browser.shown(field).into_iter().next()?;
        browser.value(&shown).filter(|value| value.contains(part))
    })
}

#[test]
fn a_case_that_fails_keeps_a_version_back_until_its_owner_says_why() {
    let test = "a_case_that_fails_keeps_a_version_back_until_its_owner_says_why";
    let Some((product, browser)) = before_the_page(test) else {
        return;
    };
    register(&product, &browser, "joan");
    browser.click(By::Role("link", "Rules"));
    browser.click(By::Role("link", "New rule"));
    browser.click(By::Role("button", "Save"));
    browser.see("A new rule is saved");

    let (rule, cases) = (
        By::Role("textbox", "The rule"),
        By::Role("textbox", "Cases beside the rule"),
    );
    browser.click(By::Role("button", "Add a case"));
    let right = value_with(&browser, cases, "fires: true");
    browser.click(By::Role("button", "Run the cases"));
    browser.see("The one case comes out as it says.");
    browser.fill(cases, &right.replace("fires: true", "fires: false"));
    browser.see("These are of the text before your latest change.");
    browser.click(By::Role("button", "Run the cases"));
    browser.see("The one case comes out differently.");

    let text = value_with(&browser, rule, "enabled: false");
    browser.fill(rule, &text.replace("enabled: false", "enabled: true"));
    browser.fill(By::RoleLike("textbox", "Why this change"), "It shall be on");
    browser.click(By::Role("button", "Save a new version"));
    browser.see("A case of the rule fails");
    browser.fill(
        By::Role("textbox", "Why publish it all the same?"),
        "The case is older than the rule",
    );
    browser.click(By::Role("button", "Publish although a case fails"));
    browser.see("Saved as version 2");
    browser.see("It shall be on");
    browser.see("Published although a case failed: The case is older than the rule");
    browser.click(By::Role("button", "What changed?"));
    browser.find(By::Css(".results li"));

    // A draft waits beside the live version, and is published with a reason.
    browser.fill(cases, &right);
    browser.click(By::Role("button", "Keep as a draft"));
    browser.find(By::Role("heading", "What it would change"));
    browser.fill(
        By::Role("textbox", "Why publish it"),
        "The case is right again",
    );
    browser.click(By::Role("button", "Publish the draft"));
    browser.see("The draft is live as version 3");
    browser.see("The case is right again");
    // What was refused above is the one complaint.
    let errors = browser.console_errors();
    let other: Vec<_> = errors
        .iter()
        .filter(|error| !error.contains("/api/v1/"))
        .collect();
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn a_draft_is_tried_on_an_account_and_its_runs_are_counted_as_they_come() {
    let test = "a_draft_is_tried_on_an_account_and_its_runs_are_counted_as_they_come";
    let Some((product, browser)) = before_the_page(test) else {
        return;
    };
    register(&product, &browser, "mary");
    connect_sandbox(&browser);
    let desk = Desk::log_in(&product, "mary@example.org", PASSWORD);
    let account = text(&desk.list(&product, "accounts")[0], "/id");
    let written = "version: 1\nname: Welcome\ntriggers: [{id: made, kind: post.created}]\n\
                   steps: [{id: tell, action: notify, with: {title: Made}}]\n";
    let rule = desk.rule(&product, written);
    let draft = json!({"text": {"format": "yaml", "text": written.replace("Made", "Written")},
                       "expected_generation": 0, "reason": "Friendlier"});
    desk.change(&product, "PUT", &format!("rules/{rule}/draft"), &draft);

    browser.open(&format!("{}/rules/{rule}", product.url()));
    browser.see("Try the draft on some accounts");
    browser.click(By::RoleLike("button", "@trial"));
    browser.fill(By::RoleLike("textbox", "Why try it"), "To be sure");
    browser.click(By::Role("button", "Begin to try"));
    browser.see("Version 2 is tried on some accounts");
    browser.see("To be sure");
    // From here on the server tells the page.
    let post = json!({"content": {"text": "Good morning"}, "variants": [{"account": account}]});
    desk.post(&product, "posts", &post);
    browser.see("1, none failed");
    desk.post(&product, "posts", &post);
    browser.see("2, none failed");
    browser.click(By::Role("button", "Promote"));
    browser.see("It is live for all accounts as version 3");
    browser.see("Live");
    browser.see("Tried");
    has_no_complaints(&browser);
}

fn background(browser: &Browser) -> String {
    let said = browser.run(
        "return getComputedStyle(document.body).backgroundColor",
        &[],
    );
    said.as_str().unwrap_or_default().to_owned()
}

/// Nothing sticks out to the side, where a thumb does not scroll.
fn fits_the_width(browser: &Browser) {
    let script = "return [document.documentElement.scrollWidth, innerWidth]";
    let said = browser.run(script, &[]);
    assert!(
        said[0].as_u64() <= said[1].as_u64(),
        "{}: {said}",
        browser.address()
    );
}

#[test]
fn the_page_is_left_and_entered_again_in_the_dark_and_on_a_phone() {
    let test = "the_page_is_left_and_entered_again_in_the_dark_and_on_a_phone";
    let Some((product, browser)) = before_the_page(test) else {
        return;
    };
    browser.prefer_colours("light");
    register(&product, &browser, "mary");
    let light = background(&browser);
    browser.prefer_colours("dark");
    browser.wait_until("other colours in the dark", || {
        (background(&browser) != light).then_some(())
    });

    browser.click(By::Role("button", "Log out"));
    browser.find(By::Role("button", "Log in"));
    browser.fill(By::Role("textbox", "E-mail"), "mary@example.org");
    browser.fill(By::Role("textbox", "Password"), "not the password at all");
    browser.click(By::Role("button", "Log in"));
    browser.find(By::Css("[role=alert]"));
    browser.fill(By::Role("textbox", "Password"), PASSWORD);
    browser.click(By::Role("button", "Log in"));
    browser.find(By::Role("link", "Rules"));

    browser.resize(PHONE.0, PHONE.1);
    for room in [
        "posts",
        "posts/new",
        "queues",
        "rules",
        "rules/new",
        "rules/blueprints",
        "rules/blueprints/blog-to-queue",
        "scripts",
        "runs",
        "forecast",
        "accounts",
        "feeds",
        "hooks",
        "sandbox",
        "settings",
    ] {
        browser.open(&format!("{}/{room}", product.url()));
        browser.find(By::Role("button", "More"));
        fits_the_width(&browser);
    }
    // Reloading kept the session; what was refused above is the one complaint.
    let errors = browser.console_errors();
    let other: Vec<_> = errors
        .iter()
        .filter(|error| !error.contains("/api/v1/auth/"))
        .collect();
    assert!(other.is_empty(), "{other:#?}");
}
