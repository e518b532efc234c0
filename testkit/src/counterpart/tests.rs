//! One real conversation with each counterpart, and the rules of skipping.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::json;

use super::http::{post_json, request};
use super::{Counterpart, is_demanded, or_skip};

#[test]
fn bluesky_keeps_a_post_and_refuses_one_that_is_too_long() {
    let test = "bluesky_keeps_a_post_and_refuses_one_that_is_too_long";
    let Some(server) = or_skip(test, Counterpart::bluesky()) else {
        return;
    };
    let account = &server.account;
    let sign_in = format!("{}/xrpc/com.atproto.server.createSession", server.url);
    let credentials = json!({"identifier": account.handle, "password": account.app_password});
    let session = post_json(&sign_in, None, &credentials).unwrap();
    assert_eq!(session.status, 200);
    let session = session.json().unwrap();
    let token = session["accessJwt"].as_str().unwrap();

    let post = |text: &str| {
        let record = json!({"$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-01-02T03:04:05.000Z"});
        let body =
            json!({"repo": account.did, "collection": "app.bsky.feed.post", "record": record});
        let url = format!("{}/xrpc/com.atproto.repo.createRecord", server.url);
        post_json(&url, Some(token), &body).unwrap()
    };
    let kept = post("hello");
    assert_eq!(kept.status, 200);
    assert!(
        kept.json().unwrap()["uri"]
            .as_str()
            .unwrap()
            .starts_with(&format!("at://{}/", account.did))
    );
    assert_eq!(post(&"x".repeat(301)).status, 400);

    let bob = server.create_account("bob").unwrap();
    assert_eq!(bob.handle, "bob.test");
    assert_ne!(bob.did, account.did);
    assert!(server.create_account("bob").is_err());
}

#[test]
fn mastodon_mock_posts_once_per_key_and_fails_when_told() {
    let test = "mastodon_mock_posts_once_per_key_and_fails_when_told";
    let Some(server) = or_skip(test, Counterpart::mastodon_mock()) else {
        return;
    };
    let statuses = format!("{}/api/v1/statuses", server.url);
    let bearer = format!("Bearer {}", server.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "one"),
    ];
    let post = || request("POST", &statuses, &headers, br#"{"status":"hello"}"#).unwrap();
    let (first, second) = (post(), post());
    assert_eq!(first.status, 200);
    assert_eq!(first.json().unwrap()["id"], second.json().unwrap()["id"]);
    assert_eq!(post_json(&statuses, None, &json!({})).unwrap().status, 401);

    let fault = json!({"match": {"methods": ["POST"], "path": "/api/v1/statuses"}, "effect": {"type": "ratelimit"}});
    let faults = format!("{}/api/v1/_mock/faults", server.url);
    assert!(post_json(&faults, None, &fault).unwrap().status < 300);
    let limited = post();
    assert_eq!(limited.status, 429);
    assert!(limited.header("x-ratelimit-reset").is_some());
}

#[test]
fn snac_knows_its_user_through_the_mastodon_api() {
    let test = "snac_knows_its_user_through_the_mastodon_api";
    let Some(server) = or_skip(test, Counterpart::snac()) else {
        return;
    };
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let post = |path: &str, body: &str| {
        request(
            "POST",
            &format!("{}{path}", server.url),
            &form,
            body.as_bytes(),
        )
        .unwrap()
    };
    let app = post(
        "/api/v1/apps",
        "client_name=product&redirect_uris=http://127.0.0.1:9/back&scopes=read+write",
    );
    let app = app.json().unwrap();
    let (id, secret) = (
        app["client_id"].as_str().unwrap(),
        app["client_secret"].as_str().unwrap(),
    );

    let back = "redir=http://127.0.0.1:9/back&state=s1";
    let login = format!(
        "login={}&passwd={}&cid={id}&{back}",
        server.user, server.password
    );
    let signed_in = post("/oauth/x-snac-login", &login);
    assert_eq!(signed_in.status, 303);
    let location = signed_in.header("location").unwrap();
    let code = location
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();

    let exchange = format!(
        "grant_type=authorization_code&code={code}&client_id={id}&client_secret={secret}&redirect_uri=http://127.0.0.1:9/back"
    );
    let token = post("/oauth/token", &exchange).json().unwrap();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let me = request(
        "GET",
        &format!("{}/api/v1/accounts/verify_credentials", server.url),
        &[("authorization", &bearer)],
        b"",
    )
    .unwrap();
    assert_eq!(me.json().unwrap()["username"], server.user.as_str());
}

/// Speaks SMTP line by line and gives the code of the last answer.
fn send_mail(port: u16, recipient: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut code = read_code(&mut answers);
    let recipient = format!("RCPT TO:<{recipient}>");
    let mail = "Subject: hello\r\nList-Unsubscribe: <http://u.test>\r\n\r\nbody\r\n.";
    for line in [
        "HELO test.test",
        "MAIL FROM:<us@test.test>",
        &recipient,
        "DATA",
        mail,
    ] {
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        code = read_code(&mut answers);
        if !code.starts_with(['2', '3']) {
            break;
        }
    }
    code
}

fn read_code(answers: &mut impl BufRead) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    line.get(..3).unwrap_or_default().to_owned()
}

#[test]
fn smtp_keeps_what_it_accepts_and_refuses_on_request() {
    let test = "smtp_keeps_what_it_accepts_and_refuses_on_request";
    let Some(server) = or_skip(test, Counterpart::smtp()) else {
        return;
    };
    assert_eq!(send_mail(server.port, "them@test.test"), "250");
    assert_eq!(send_mail(server.port, "reject550@test.test"), "550");
    assert_eq!(send_mail(server.port, "later451@test.test"), "451");
    assert_eq!(send_mail(server.port, "drop@test.test"), "");

    let received = server.received().unwrap();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].to, ["them@test.test"]);
    assert_eq!(received[0].headers["list-unsubscribe"], "<http://u.test>");
    assert_eq!(received[0].text.as_deref(), Some("body\n"));
    server.forget().unwrap();
    assert!(server.received().unwrap().is_empty());
}

#[test]
fn a_stopped_counterpart_answers_no_more() {
    let test = "a_stopped_counterpart_answers_no_more";
    let Some(server) = or_skip(test, Counterpart::smtp()) else {
        return;
    };
    let port = server.port;
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_skip_is_a_failure_only_where_the_counterpart_is_demanded() {
    assert!(is_demanded("all", "snac"));
    assert!(is_demanded("bluesky, snac", "snac"));
    assert!(!is_demanded("bluesky", "snac"));
    assert!(!is_demanded("", "snac"));
}
