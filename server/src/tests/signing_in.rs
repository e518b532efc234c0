//! Registering, logging in, passwords.

use serde_json::json;
use so_model::time::MINUTE;

use crate::{
    config::Registration,
    testing::{PASSWORD, TestApp},
};

#[tokio::test]
async fn registering_makes_a_person_with_a_workspace_and_a_session() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let me = test.get(&ada, "/api/v1/me").await.expect(200).body;
    assert_eq!(me["user"]["email"], "ada@x.org");
    assert_eq!(me["workspaces"][0]["role"], "owner");
    assert_eq!(
        me["workspaces"][0]["workspace"]["time_zone"],
        "Europe/Berlin"
    );
}

#[tokio::test]
async fn every_wrong_field_of_a_registration_is_told_at_once() {
    let test = TestApp::new().await;
    let body = json!({ "name": " ", "email": "nobody", "password": "short", "time_zone": "Europe/Berlni" });
    let answer = test
        .call("POST", "/api/v1/auth/register")
        .json(&body)
        .send()
        .await
        .expect(422);
    let pointers: Vec<_> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["pointer"])
        .collect();
    assert_eq!(pointers, ["/name", "/email", "/time_zone", "/password"]);
    assert_eq!(answer.body["errors"][2]["suggestion"], "Europe/Berlin");
}

#[tokio::test]
async fn an_address_is_used_once_whatever_its_letters_case() {
    let test = TestApp::new().await;
    test.register("ada@x.org").await;
    let body = json!({ "name": "B", "email": "ADA@X.org", "password": PASSWORD });
    let answer = test
        .call("POST", "/api/v1/auth/register")
        .json(&body)
        .send()
        .await
        .expect(409);
    assert_eq!(answer.code(), "user.email_taken");
    assert_eq!(answer.body["errors"][0]["pointer"], "/email");
    test.log_in("Ada@x.ORG").await;
}

#[tokio::test]
async fn the_answer_to_a_wrong_log_in_does_not_tell_whether_the_person_exists() {
    let test = TestApp::new().await;
    test.register("ada@x.org").await;
    let known = test
        .try_log_in("ada@x.org", "another sentence")
        .await
        .expect(401);
    let unknown = test
        .try_log_in("eve@x.org", "another sentence")
        .await
        .expect(401);
    assert_eq!(known.body, unknown.body);
    assert_eq!(known.code(), "auth.wrong_password");
    test.try_log_in("no address", "another sentence")
        .await
        .expect(401);
    test.try_log_in("ada@x.org", &"x".repeat(100_000))
        .await
        .expect(401);
    assert!(known.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn guessing_is_slowed_down_and_spoofed_headers_do_not_help() {
    let test = TestApp::new().await;
    test.register("ada@x.org").await;
    let try_once = async |n: u8| {
        let body = json!({ "email": "ada@x.org", "password": "another sentence" });
        let call = test
            .call("POST", "/api/v1/auth/login")
            .from(&format!("198.51.100.{n}"));
        call.header("x-forwarded-for", &format!("192.0.2.{n}"))
            .json(&body)
            .send()
            .await
    };
    for n in 0..10 {
        try_once(n).await.expect(401);
    }
    let answer = try_once(11).await.expect(429);
    assert_eq!(answer.header("retry-after"), (15 * 60).to_string());
    test.clock.advance(15 * MINUTE);
    test.log_in("ada@x.org").await;
}

#[tokio::test]
async fn the_owner_signs_in_while_strangers_guess() {
    let test = TestApp::new().await;
    test.register("ada@x.org").await;
    test.log_in("ada@x.org").await;
    for n in 0..20 {
        let body = json!({ "email": "ada@x.org", "password": "another sentence" });
        test.call("POST", "/api/v1/auth/login")
            .from(&format!("198.51.100.{n}"))
            .json(&body)
            .send()
            .await;
    }
    test.log_in("ada@x.org").await;
}

#[tokio::test]
async fn registration_can_be_closed_after_the_first_person() {
    let test = TestApp::with(|config| config.auth.registration = Registration::First).await;
    test.register("ada@x.org").await;
    let body = json!({ "name": "B", "email": "b@x.org", "password": PASSWORD });
    let answer = test
        .call("POST", "/api/v1/auth/register")
        .json(&body)
        .send()
        .await
        .expect(403);
    assert_eq!(answer.code(), "auth.registration_closed");

    let test = TestApp::with(|config| config.auth.registration = Registration::Closed).await;
    test.call("POST", "/api/v1/auth/register")
        .json(&body)
        .send()
        .await
        .expect(403);
}

#[tokio::test]
async fn two_who_register_at_once_are_not_both_the_first() {
    let test = TestApp::with(|config| config.auth.registration = Registration::First).await;
    let one = async |n: u8| {
        let body = json!({ "name": "N", "email": format!("n{n}@x.org"), "password": PASSWORD });
        test.call("POST", "/api/v1/auth/register")
            .json(&body)
            .send()
            .await
            .status
            .as_u16()
    };
    let mut both = [0; 2];
    (both[0], both[1]) = tokio::join!(one(1), one(2));
    both.sort_unstable();
    assert_eq!(both, [201, 403]);
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let test = TestApp::new().await;
    let here = test.register("ada@x.org").await;
    let there = test.log_in("ada@x.org").await;
    let change = async |current: &str, new: &str| {
        test.post(
            &here,
            "/api/v1/auth/password",
            json!({ "current": current, "new": new }),
        )
        .await
    };
    assert_eq!(
        change("wrong", "another sentence").await.expect(422).body["errors"][0]["pointer"],
        "/current"
    );
    assert_eq!(
        change(PASSWORD, "ada@x.org").await.expect(422).body["errors"][0]["pointer"],
        "/new"
    );
    test.get(&there, "/api/v1/me").await.expect(200);
    change(PASSWORD, "another sentence").await.expect(204);
    test.get(&here, "/api/v1/me").await.expect(200);
    test.get(&there, "/api/v1/me").await.expect(401);
    test.refresh(&there.cookie).await.expect(401);
    test.try_log_in("ada@x.org", PASSWORD).await.expect(401);
    test.try_log_in("ada@x.org", "another sentence")
        .await
        .expect(200);
}

#[tokio::test]
async fn a_name_can_be_changed() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let me = test
        .patch(&ada, "/api/v1/me", json!({ "name": "Ada L." }))
        .await
        .expect(200)
        .body;
    assert_eq!(me["user"]["name"], "Ada L.");
    test.patch(&ada, "/api/v1/me", json!({ "name": "a\nb" }))
        .await
        .expect(422);
}
