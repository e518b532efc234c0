//! Outbound webhook addresses through the API.

use serde_json::{Value, json};
use so_model::workspace::Role;
use so_triggers::webhook::{Verification, verify};

use crate::{
    app::feeds::double::{Double, Page},
    testing::{Person, TestApp},
};

fn at(person: &Person, rest: &str) -> String {
    format!("/api/v1/workspaces/{}/endpoints{rest}", person.workspace)
}

async fn server() -> (TestApp, Person, Double) {
    let test = TestApp::with(|config| {
        config.outbound.allow = vec!["127.0.0.1:*".into()];
        config.outbound.allow_http = true;
    })
    .await;
    let ada = test.register("ada@x.org").await;
    (test, ada, Double::start().await)
}

#[tokio::test]
async fn a_test_message_is_signed_with_the_secret_that_was_shown() {
    let (test, ada, double) = server().await;
    double.put("/hook", Page::status(204));
    let body = json!({"name": "CRM", "url": double.url("/hook")});
    let made = test.post(&ada, &at(&ada, ""), body).await.expect(201);
    let one = at(&ada, &format!("/{}", made.body["id"].as_str().unwrap()));
    let tested = test
        .post(&ada, &format!("{one}/test"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&tested.body["is_delivered"], &tested.body["status"]),
        (&json!(true), &json!(204))
    );
    let check = |secret: &str| {
        let came = double.came().pop().unwrap();
        let header = |name: &str| came.headers.get(name).map(|value| value.to_str().unwrap());
        verify(
            &Verification::StandardWebhooks {},
            secret,
            header,
            &came.body,
            test.app.now().seconds(),
        )
    };
    let secret = made.body["secret"].as_str().unwrap();
    assert_eq!(check(secret), Ok(()));
    assert_eq!(double.came()[0].method, "POST");
    assert!(!test.get(&ada, &one).await.text.contains(secret));

    let rotated = test
        .post(&ada, &format!("{one}/rotate"), json!({}))
        .await
        .expect(200);
    test.post(&ada, &format!("{one}/test"), json!({}))
        .await
        .expect(200);
    assert!(check(secret).is_err());
    assert_eq!(check(rotated.body["secret"].as_str().unwrap()), Ok(()));
}

#[tokio::test]
async fn a_test_that_fails_says_how() {
    let (test, ada, double) = server().await;
    double.put("/hook", Page::status(500));
    let body = json!({"name": "CRM", "url": double.url("/hook")});
    let made = test.post(&ada, &at(&ada, ""), body).await.expect(201);
    let one = at(&ada, &format!("/{}", made.body["id"].as_str().unwrap()));
    let tested = test
        .post(&ada, &format!("{one}/test"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&tested.body["is_delivered"], &tested.body["status"]),
        (&json!(false), &json!(500))
    );
    drop(double);
    tokio::task::yield_now().await;
    test.patch(&ada, &one, json!({"url": "http://127.0.0.1:1/"}))
        .await
        .expect(200);
    let tested = test
        .post(&ada, &format!("{one}/test"), json!({}))
        .await
        .expect(200);
    assert_eq!(tested.body["status"], Value::Null);
    assert!(
        tested.body["problem"]
            .as_str()
            .unwrap()
            .contains("127.0.0.1")
    );
}

#[tokio::test]
async fn a_disabled_address_is_switched_on_again_without_its_problem() {
    let (test, ada, double) = server().await;
    let made = test
        .post(
            &ada,
            &at(&ada, ""),
            json!({"name": "CRM", "url": double.url("/")}),
        )
        .await
        .expect(201);
    let (id, workspace) = (
        made.body["id"].as_str().unwrap().parse().unwrap(),
        ada.workspace.parse().unwrap(),
    );
    let mut tx = test.app.store.begin().await.unwrap();
    so_store::endpoints::disable(&mut tx, workspace, id, "it answered 410")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let one = at(&ada, &format!("/{id}"));
    let shown = test.get(&ada, &one).await.expect(200);
    assert_eq!(
        (&shown.body["is_enabled"], &shown.body["problem"]),
        (&json!(false), &json!("it answered 410"))
    );
    let on = test
        .patch(&ada, &one, json!({"is_enabled": true}))
        .await
        .expect(200);
    assert_eq!(
        (&on.body["is_enabled"], &on.body["problem"]),
        (&json!(true), &Value::Null)
    );
    test.delete(&ada, &one).await.expect(204);
    test.get(&ada, &one).await.expect(404);
}

#[tokio::test]
async fn addresses_that_must_not_be_called_are_not_stored() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    for url in [
        "",
        "x",
        "http://example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.1/",
        "https://169.254.169.254/",
        "https://u:p@example.com/",
        "https://example.com:22/",
        "gopher://example.com/",
    ] {
        let refused = test
            .post(&ada, &at(&ada, ""), json!({"name": "x", "url": url}))
            .await
            .expect(422);
        assert_eq!(refused.body["errors"][0]["pointer"], "/url", "{url}");
    }
    assert_eq!(test.get(&ada, &at(&ada, "")).await.body["items"], json!([]));
    let made = test
        .post(
            &ada,
            &at(&ada, ""),
            json!({"name": "x", "url": "https://example.com/a"}),
        )
        .await
        .expect(201);
    let bob = test.register("bob@x.org").await;
    let foreign = at(&bob, &format!("/{}", made.body["id"].as_str().unwrap()));
    for (method, rest) in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/rotate"),
        ("POST", "/test"),
    ] {
        let call = test
            .call(method, &format!("{foreign}{rest}"))
            .bearer(&bob.token)
            .json(&json!({}));
        assert_eq!(
            call.send().await.expect(404).code(),
            "endpoint.not_found",
            "{method} {rest}"
        );
    }
}

#[tokio::test]
async fn only_admins_see_the_whole_address() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let whole = "https://hooks.example.org/T0/B0/secret?k=1";
    let body = json!({"name": "Chat", "url": whole});
    let made = test.post(&ada, &at(&ada, ""), body).await.expect(201);
    let one = at(&ada, &format!("/{}", made.body["id"].as_str().unwrap()));
    assert_eq!(test.get(&ada, &one).await.expect(200).body["url"], whole);
    for role in [Role::Editor, Role::Viewer] {
        let who = test.member(&ada, &format!("{role:?}@x.org"), role).await;
        let shown = test.get(&who, &one).await.expect(200);
        let list = test.get(&who, &at(&ada, "")).await.expect(200);
        assert_eq!(shown.body["url"], "https://hooks.example.org");
        assert_eq!(list.body["items"][0]["url"], "https://hooks.example.org");
        assert!(!format!("{}{}", shown.text, list.text).contains("secret?"));
    }
}
