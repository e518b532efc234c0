//! Tokens, cookies, ends of sessions.

use serde_json::json;
use so_model::time::{DAY, MINUTE, SECOND};

use crate::testing::TestApp;

#[tokio::test]
async fn an_access_token_ends_after_ten_minutes_and_the_cookie_gives_a_new_one() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    test.clock.advance(10 * MINUTE - SECOND);
    test.get(&ada, "/api/v1/me").await.expect(200);
    test.clock.advance(SECOND);
    let answer = test.get(&ada, "/api/v1/me").await.expect(401);
    assert_eq!(
        (answer.code(), answer.header("www-authenticate")),
        ("auth.signed_out", "Bearer")
    );
    let fresh = test.refresh(&ada.cookie).await.expect(200);
    assert_eq!(fresh.body["user"]["email"], "ada@x.org");
    let token = fresh.body["access_token"].as_str().unwrap();
    test.call("GET", "/api/v1/me")
        .bearer(token)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn a_former_refresh_token_ends_the_session() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let second = test.refresh(&ada.cookie).await.expect(200).cookie();
    assert_ne!(second, ada.cookie);
    test.clock.advance(11 * SECOND);
    let reused = test.refresh(&ada.cookie).await.expect(401);
    assert_eq!(reused.code(), "auth.token_reused");
    assert!(reused.header("set-cookie").contains("Max-Age=0"));
    test.refresh(&second).await.expect(401);
    test.get(&ada, "/api/v1/me").await.expect(401);
}

#[tokio::test]
async fn a_much_older_refresh_token_ends_the_session_too() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let mut cookie = ada.cookie.clone();
    for _ in 0..5 {
        cookie = test.refresh(&cookie).await.expect(200).cookie();
    }
    assert_eq!(
        test.refresh(&ada.cookie).await.expect(401).code(),
        "auth.token_reused"
    );
    test.refresh(&cookie).await.expect(401);
}

#[tokio::test]
async fn an_exchange_whose_answer_was_lost_can_be_repeated_but_forks_nothing() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let lost = test.refresh(&ada.cookie).await.expect(200).cookie();
    test.clock.advance(9 * SECOND);
    let repeated = test.refresh(&ada.cookie).await.expect(200).cookie();
    assert_eq!(lost, repeated);
    // Once the successor is used, the former token is proof of a copy at any time.
    test.refresh(&repeated).await.expect(200);
    assert_eq!(
        test.refresh(&ada.cookie).await.expect(401).code(),
        "auth.token_reused"
    );
}

#[tokio::test]
async fn exchanges_at_the_same_moment_agree() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let (one, two) = tokio::join!(test.refresh(&ada.cookie), test.refresh(&ada.cookie));
    assert_eq!(one.expect(200).cookie(), two.expect(200).cookie());
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_or_old() {
    let test = TestApp::new().await;
    let idle = test.register("ada@x.org").await;
    test.clock.advance(7 * DAY);
    test.refresh(&idle.cookie).await.expect(401);

    let mut cookie = test.log_in("ada@x.org").await.cookie;
    for _ in 0..5 {
        test.clock.advance(6 * DAY - MINUTE);
        cookie = test.refresh(&cookie).await.expect(200).cookie();
    }
    test.clock.advance(DAY);
    test.refresh(&cookie).await.expect(401);
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let mut swapped = ada.cookie.clone();
    swapped.truncate(swapped.len() - 1);
    for bad in ["", "x", "a.b.c", &swapped, &ada.token, &"x".repeat(4000)] {
        test.refresh(bad).await.expect(401);
    }
    test.call("POST", "/api/v1/auth/refresh")
        .send()
        .await
        .expect(401);
    test.call("POST", "/api/v1/auth/refresh")
        .bearer(&ada.token)
        .send()
        .await
        .expect(401);
    test.refresh(&ada.cookie).await.expect(200);
}

#[tokio::test]
async fn another_site_cannot_use_the_cookie() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    for path in ["/api/v1/auth/refresh", "/api/v1/auth/logout"] {
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://so.test.evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let answer = test
                .call("POST", path)
                .cookie(&ada.cookie)
                .header(name, value)
                .send()
                .await
                .expect(403);
            assert_eq!(answer.code(), "auth.foreign_origin");
        }
    }
    test.get(&ada, "/api/v1/me").await.expect(200);
    let own = test
        .call("POST", "/api/v1/auth/refresh")
        .cookie(&ada.cookie)
        .header("origin", "http://so.test");
    own.header("sec-fetch-site", "same-origin")
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn the_cookie_alone_opens_nothing_else() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    for (method, path) in [
        ("GET", "/api/v1/me"),
        ("POST", "/api/v1/auth/logout-everywhere"),
    ] {
        test.call(method, path)
            .cookie(&ada.cookie)
            .send()
            .await
            .expect(401);
    }
}

#[tokio::test]
async fn cookies_are_out_of_reach_of_scripts_and_other_sites() {
    let plain = TestApp::new().await;
    let answer = plain.try_register().await;
    let cookie = answer.header("set-cookie").to_string();
    assert!(cookie.starts_with("so_refresh=sess_"), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/api/v1/auth; Max-Age=604800; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );

    let secure =
        TestApp::with(|config| config.server.public_url = Some("https://so.test".into())).await;
    let answer = secure.try_register().await;
    let cookie = answer.header("set-cookie").to_string();
    assert!(
        cookie.starts_with("__Secure-so_refresh=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    assert!(
        answer
            .header("strict-transport-security")
            .starts_with("max-age=63072000")
    );
}

#[tokio::test]
async fn logging_out_ends_the_session_and_takes_the_cookie_away() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let other = test.log_in("ada@x.org").await;
    let answer = test
        .call("POST", "/api/v1/auth/logout")
        .cookie(&ada.cookie)
        .send()
        .await
        .expect(204);
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    test.get(&ada, "/api/v1/me").await.expect(401);
    // A token that is not over is none the better for it.
    let renewed = test.renewed(&ada);
    test.get(&renewed, "/api/v1/me").await.expect(401);
    test.refresh(&ada.cookie).await.expect(401);
    test.get(&other, "/api/v1/me").await.expect(200);
    test.call("POST", "/api/v1/auth/logout")
        .send()
        .await
        .expect(204);
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_session() {
    let test = TestApp::new().await;
    let here = test.register("ada@x.org").await;
    let there = test.log_in("ada@x.org").await;
    let eve = test.register("eve@x.org").await;
    test.get(&there, "/api/v1/me").await.expect(200);
    test.post(&here, "/api/v1/auth/logout-everywhere", json!({}))
        .await
        .expect(204);
    test.get(&here, "/api/v1/me").await.expect(401);
    test.get(&there, "/api/v1/me").await.expect(401);
    test.get(&eve, "/api/v1/me").await.expect(200);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let test = TestApp::new().await;
    let here = test.register("ada@x.org").await;
    test.clock.advance(SECOND);
    let there = test.log_in("ada@x.org").await;
    let eve = test.register("eve@x.org").await;
    let list = test
        .get(&here, "/api/v1/auth/sessions")
        .await
        .expect(200)
        .body;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(
        (&items[0]["is_current"], &items[1]["is_current"]),
        (&json!(false), &json!(true))
    );
    let path = format!("/api/v1/auth/sessions/{}", items[0]["id"].as_str().unwrap());
    assert_eq!(
        test.delete(&eve, &path).await.expect(404).code(),
        "session.not_found"
    );
    test.get(&there, "/api/v1/me").await.expect(200);
    test.delete(&here, &path).await.expect(204);
    test.get(&there, "/api/v1/me").await.expect(401);
    test.delete(&here, &path).await.expect(404);
    test.delete(&here, "/api/v1/auth/sessions/sess_nonsense")
        .await
        .expect(404);
}

#[tokio::test]
async fn a_session_ended_by_another_process_is_refused_within_a_second() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    test.get(&ada, "/api/v1/me").await.expect(200);
    let mut tx = test.app.store.begin().await.unwrap();
    so_store::sessions::revoke_all(&mut tx, ada.id.parse().unwrap(), test.app.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    test.clock.advance(SECOND);
    test.get(&ada, "/api/v1/me").await.expect(401);
}

#[tokio::test]
async fn odd_credentials_are_refused() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        &format!("Token {}", ada.token),
        &format!("Bearer {}x", ada.token),
    ] {
        test.call("GET", "/api/v1/me")
            .header("authorization", value)
            .send()
            .await
            .expect(401);
    }
    let twice = test
        .call("GET", "/api/v1/me")
        .bearer(&ada.token)
        .bearer(&ada.token)
        .send()
        .await;
    twice.expect(401);
    test.call("GET", "/api/v1/me")
        .header("authorization", &format!("bearer {}", ada.token))
        .send()
        .await
        .expect(200);
    let in_address = format!("/api/v1/me?access_token={}", ada.token);
    test.call("GET", &in_address).send().await.expect(401);
}

impl TestApp {
    async fn try_register(&self) -> crate::testing::Answer {
        let body =
            json!({ "name": "Ada", "email": "ada@x.org", "password": crate::testing::PASSWORD });
        self.call("POST", "/api/v1/auth/register")
            .json(&body)
            .send()
            .await
            .expect(201)
    }
}
