//! Posts go out to servers that speak the networks' own protocols.

use serde_json::json;
use so_connectors::{
    doubles::{Fault, Op},
    mastodon::double::{MastodonDouble, TOKEN},
};
use so_engine::clock::{Clock as _, SystemClock};
use so_testkit::{
    counterpart::{Counterpart, http, or_skip},
    product::Product,
};

use crate::desk::{Desk, HASTY, PROGRAM, json_of, text};

/// Permits plain http to a server on loopback; what the network calls is given as `host:port`.
fn settings<'a>(network: &'a str, allowed: &'a str) -> Vec<(&'a str, &'a str)> {
    let own = [(network, "true"), ("SO_OUTBOUND_ALLOW", allowed)];
    own.into_iter().chain(HASTY).collect()
}

fn host(url: &str) -> &str {
    url.strip_prefix("http://").unwrap()
}

/// An instance that goes by the machine's clock, as the server that calls it does.
pub async fn instance() -> MastodonDouble {
    let double = MastodonDouble::start().await.unwrap();
    double.core().go_by(|| SystemClock.now());
    double
}

/// Begins a sign-in and agrees at the double: gives the way back and the cookie of the browser that began.
fn agree(product: &Product, desk: &Desk, double: &MastodonDouble) -> (String, String) {
    let body = json!({"network": "mastodon", "form": {"instance": double.url()}});
    let begun = desk.send(product, "POST", "accounts/sign-in", Some(&body));
    let away = text(
        &json_of(&begun, 200, "beginning to sign in"),
        "/redirect_url",
    );
    let cookie = begun
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let back = double.allow(&away);
    let pairs: Vec<String> = back
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    (
        format!("/api/v1/sign-in/callback?{}", pairs.join("&")),
        cookie,
    )
}

/// Where a person is sent who comes back this way.
fn come_back(product: &Product, way: &str, cookies: &[(&str, &str)]) -> String {
    let returned = product.call_with("GET", way, None, cookies, None);
    assert_eq!(returned.status, 303);
    returned.header("location").unwrap().to_owned()
}

fn connect_through_the_browser(product: &Product, desk: &Desk, double: &MastodonDouble) -> String {
    let (way, _) = agree(product, desk, double);
    let refused = come_back(product, &way, &[]);
    assert!(
        refused.contains("problem="),
        "somebody else's browser gets nowhere: {refused}"
    );

    let (way, cookie) = agree(product, desk, double);
    let target = come_back(product, &way, &[("cookie", &cookie)]);
    let account = target.strip_prefix("/accounts?connected=");
    account
        .unwrap_or_else(|| panic!("not connected: {target}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mastodon_account_is_connected_by_browser_and_posted_to() {
    let double = instance().await;
    let url = double.url();
    let product = Product::start(
        PROGRAM,
        &settings("SO_NETWORKS_MASTODON_ALLOW_HTTP", host(&url)),
    );
    let desk = Desk::register(&product, "tooter");
    let account = connect_through_the_browser(&product, &desk, &double);
    let post = desk.schedule(&product, &account, "Straight from the queue", 1);
    let detail = desk.wait_for_post(&product, &post, "published");
    let effects = double.core().published();
    assert_eq!(
        (effects.len(), effects[0].text.as_str()),
        (1, "Straight from the queue")
    );
    assert_eq!(
        detail["publications"][0]["remote_id"],
        effects[0].remote_id.as_str()
    );
    assert!(text(&detail, "/publications/0/remote_url").starts_with("http"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_came_is_looked_for_and_nothing_is_sent_twice() {
    let double = instance().await;
    let url = double.url();
    let product = Product::start(
        PROGRAM,
        &settings("SO_NETWORKS_MASTODON_ALLOW_HTTP", host(&url)),
    );
    let desk = Desk::register(&product, "doubtful");
    let account = desk.connect(
        &product,
        "mastodon",
        &json!({"instance": url, "token": TOKEN}),
    );
    double.core().fail_next(Op::Publish, Fault::TakenThenCut);
    let post = desk.schedule(&product, &account, "Taken, not answered", 0);
    let detail = desk.wait_for_post(&product, &post, "published");
    assert_eq!(double.core().published().len(), 1);
    let log = detail["publications"][0]["log"].as_array().unwrap();
    assert!(
        log.iter().any(|change| change["to"] == "unknown"),
        "{log:#?}"
    );
}

#[test]
fn a_mastodon_server_of_others_takes_a_scheduled_post() {
    let test = "a_mastodon_server_of_others_takes_a_scheduled_post";
    let Some(server) = or_skip(test, Counterpart::mastodon_mock()) else {
        return;
    };
    let allowed = host(&server.url);
    let product = Product::start(
        PROGRAM,
        &settings("SO_NETWORKS_MASTODON_ALLOW_HTTP", allowed),
    );
    let desk = Desk::register(&product, "mocker");
    let form = json!({"instance": server.url, "token": server.token});
    let account = desk.connect(&product, "mastodon", &form);
    let post = desk.schedule(&product, &account, "To a server of others", 1);
    let detail = desk.wait_for_post(&product, &post, "published");

    let id = text(&detail, "/publications/0/remote_id");
    let bearer = format!("Bearer {}", server.token);
    let url = format!("{}/api/v1/statuses/{id}", server.url);
    let status = http::request("GET", &url, &[("authorization", &bearer)], b"").unwrap();
    assert_eq!(status.status, 200);
    assert!(text(&status.json().unwrap(), "/content").contains("To a server of others"));
}

#[test]
fn a_personal_data_server_takes_a_scheduled_post() {
    let test = "a_personal_data_server_takes_a_scheduled_post";
    let Some(server) = or_skip(test, Counterpart::bluesky()) else {
        return;
    };
    let allowed = format!("{},{}", host(&server.url), host(&server.plc_url));
    let product = Product::start(
        PROGRAM,
        &settings("SO_NETWORKS_BLUESKY_ALLOW_HTTP", &allowed),
    );
    let desk = Desk::register(&product, "skyer");
    let account = &server.account;
    let form = json!({"identifier": account.handle, "password": account.app_password, "service": server.url});
    let connected = desk.connect(&product, "bluesky", &form);
    let post = desk.schedule(&product, &connected, "To the open sky #tag", 1);
    desk.wait_for_post(&product, &post, "published");

    let query = format!("repo={}&collection=app.bsky.feed.post", account.did);
    let url = format!("{}/xrpc/com.atproto.repo.listRecords?{query}", server.url);
    let records = http::request("GET", &url, &[], b"")
        .unwrap()
        .json()
        .unwrap();
    let records = records["records"].as_array().unwrap();
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(records[0]["value"]["text"], "To the open sky #tag");
}
