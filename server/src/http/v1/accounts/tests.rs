//! Accounts in process; signing in against a double of Mastodon.

use serde_json::json;
use so_connectors::mastodon::double::{MastodonDouble, TOKEN};
use so_model::{time::MINUTE, workspace::Role};

use super::super::posts::fixture::{
    account, draft, events_about, path, post_path, publish_when_due,
};
use crate::testing::{Answer, Person, TestApp};

async fn go(test: &TestApp, person: &Person, account: &str, rest: &str) -> Answer {
    let at = path(person, &format!("accounts/{account}{rest}"));
    test.call("POST", &at).bearer(&person.token).send().await
}

async fn with_mastodon() -> (TestApp, MastodonDouble) {
    let double = MastodonDouble::start().await.unwrap();
    let url = url::Url::parse(&double.url()).unwrap();
    let allowed = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let test = TestApp::with(|config| {
        config.outbound.allow = vec![allowed];
        config
            .networks
            .entry("mastodon".into())
            .or_default()
            .allow_http = true;
    })
    .await;
    (test, double)
}

/// Begins and lets the person agree; answers the way back, and the browser's cookie.
async fn sent_away(
    test: &TestApp,
    person: &Person,
    at: &str,
    double: &MastodonDouble,
) -> (String, String) {
    let mut body = json!({"network": "mastodon", "form": {"instance": double.url()}});
    if at.ends_with("reconnect") {
        body = json!({"form": {"instance": double.url()}});
    }
    let begun = test.post(person, &path(person, at), body).await.expect(200);
    let cookie = begun.header("set-cookie").to_string();
    assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    let back = double.allow(begun.body["redirect_url"].as_str().unwrap());
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(back)
        .finish();
    (
        format!("/api/v1/sign-in/callback?{query}"),
        cookie.split(';').next().unwrap().to_string(),
    )
}

async fn come_back(test: &TestApp, back: &str, cookie: &str) -> String {
    let call = test.call("GET", back).header("cookie", cookie);
    call.send().await.expect(303).header("location").to_string()
}

#[tokio::test]
async fn an_account_is_connected_without_showing_its_token() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let id = account(&test, &ada, "Trial").await;
    let shown = test
        .get(&ada, &path(&ada, &format!("accounts/{id}")))
        .await
        .expect(200);
    assert_eq!(
        (shown.body["state"].as_str(), shown.body["handle"].as_str()),
        (Some("active"), Some("@trial"))
    );
    let list = test.get(&ada, &path(&ada, "accounts")).await.expect(200);
    for answer in [&shown, &list] {
        assert!(!answer.text.contains("token\""), "{}", answer.text);
        assert!(!answer.text.contains("sandbox-"), "{}", answer.text);
    }
    assert_eq!(events_about(&test, &ada, &id).await, ["account.connected"]);
}

#[tokio::test]
async fn wrong_forms_are_told_by_their_fields() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    for (body, pointer) in [
        (json!({"network": "sandbx", "form": {}}), "/network"),
        (json!({"network": "sandbox", "form": {}}), "/form/name"),
        (
            json!({"network": "sandbox", "form": {"name": "x".repeat(61)}}),
            "/form/name",
        ),
        (
            json!({"network": "sandbox", "form": {"name": "a", "colour": "b"}}),
            "/form/colour",
        ),
        (
            json!({"network": "mastodon", "form": {"instance": "not a host"}}),
            "/form/instance",
        ),
    ] {
        let answer = test
            .post(&ada, &path(&ada, "accounts/sign-in"), body.clone())
            .await
            .expect(422);
        assert_eq!(
            answer.body["errors"][0]["pointer"], pointer,
            "{body}: {}",
            answer.text
        );
    }
    let body = json!({"network": "mastodon", "form": {"instance": "http://127.0.0.1:1"}});
    let blocked = test.post(&ada, &path(&ada, "accounts/sign-in"), body).await;
    assert_eq!(blocked.status.as_u16(), 422, "{}", blocked.text);
}

#[tokio::test]
async fn a_paused_account_holds_its_posts_until_it_goes_on() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    publish_when_due(&test, &ada).await;
    let id = account(&test, &ada, "Trial").await;
    let post = draft(&test, &ada, &id, "waits").await;
    assert_eq!(
        go(&test, &ada, &id, "/pause").await.expect(200).body["state"],
        "paused"
    );
    test.call("POST", &post_path(&ada, &post, "/publish-now"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    test.settle().await;
    let shown = test
        .get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    assert_eq!(shown["publications"][0]["state"], "held");
    assert_eq!(
        test.delete(&ada, &post_path(&ada, &post, ""))
            .await
            .expect(409)
            .code(),
        "post.wrong_state"
    );
    go(&test, &ada, &id, "/resume").await.expect(200);
    test.settle().await;
    let shown = test
        .get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    assert_eq!(shown["post"]["state"], "published");
    assert_eq!(
        go(&test, &ada, &id, "/resume").await.expect(409).code(),
        "account.wrong_state"
    );
    assert_eq!(
        events_about(&test, &ada, &id).await,
        ["account.connected", "account.disabled"]
    );
}

#[tokio::test]
async fn an_account_that_is_refused_waits_to_be_connected_again() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    publish_when_due(&test, &ada).await;
    let id = account(&test, &ada, "Trial").await;
    let at = path(&ada, &format!("sandbox/accounts/{id}"));
    test.patch(&ada, &at, json!({"fault": "reconnect"}))
        .await
        .expect(200);
    let post = draft(&test, &ada, &id, "waits").await;
    test.call("POST", &post_path(&ada, &post, "/publish-now"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    test.settle().await;
    let shown = test
        .get(&ada, &path(&ada, &format!("accounts/{id}")))
        .await
        .expect(200)
        .body;
    assert_eq!(shown["state"], "reconnect_required");
    let check = go(&test, &ada, &id, "/check").await.expect(200).body;
    assert_eq!(check["works"], false);
    let again = path(&ada, &format!("accounts/{id}/reconnect"));
    assert_eq!(
        test.post(&ada, &again, json!({})).await.expect(409).code(),
        "account.still_refused"
    );
    test.patch(&ada, &at, json!({})).await.expect(200);
    assert_eq!(
        test.post(&ada, &again, json!({})).await.expect(200).body["account"]["state"],
        "active"
    );
    test.settle().await;
    let shown = test
        .get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    assert_eq!(shown["post"]["state"], "published");
    assert_eq!(
        events_about(&test, &ada, &id).await,
        [
            "account.connected",
            "account.reconnect_required",
            "account.connected"
        ]
    );
}

#[tokio::test]
async fn a_removed_account_keeps_its_history_but_no_secret() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let id = account(&test, &ada, "Trial").await;
    test.delete(&ada, &path(&ada, &format!("accounts/{id}")))
        .await
        .expect(204);
    assert_eq!(
        test.get(&ada, &path(&ada, "accounts")).await.body["items"],
        json!([])
    );
    let all = test
        .get(&ada, &path(&ada, "accounts?removed=true"))
        .await
        .expect(200)
        .body;
    assert_eq!(all["items"][0]["state"], "removed");
    let workspace = ada.workspace.parse().unwrap();
    let found = so_store::secrets::get(
        &mut test.app.reader(),
        &test.app.vault,
        workspace,
        &id,
        "token",
    )
    .await;
    assert_eq!(found.unwrap(), None);
    let body = json!({"content": {"text": "a"}, "variants": [{"account": id}]});
    test.post(&ada, &path(&ada, "posts"), body)
        .await
        .expect(422);
    assert_eq!(
        go(&test, &ada, &id, "/check").await.expect(409).code(),
        "account.wrong_state"
    );
}

#[tokio::test]
async fn what_waits_for_a_removed_account_does_not_wait_for_ever() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    publish_when_due(&test, &ada).await;
    let id = account(&test, &ada, "Trial").await;
    let post = draft(&test, &ada, &id, "waits").await;
    go(&test, &ada, &id, "/pause").await.expect(200);
    let at = post_path(&ada, &post, "/publish-now");
    test.call("POST", &at)
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    test.settle().await;
    let at = path(&ada, &format!("accounts/{id}"));
    test.delete(&ada, &at).await.expect(204);
    test.settle().await;
    let shown = test
        .get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    assert_eq!(shown["post"]["state"], "failed");
    assert_eq!(
        shown["publications"][0]["problem"],
        "the account was removed"
    );
}

#[tokio::test]
async fn accounts_of_others_are_not_there_and_only_admins_connect() {
    let test = TestApp::new().await;
    let (ada, eve) = (
        test.register("ada@example.org").await,
        test.register("eve@example.org").await,
    );
    let id = account(&test, &ada, "Trial").await;
    test.get(&eve, &path(&eve, &format!("accounts/{id}")))
        .await
        .expect(404);
    for rest in ["/pause", "/resume", "/check"] {
        go(&test, &eve, &id, rest).await.expect(404);
    }
    test.post(
        &eve,
        &path(&eve, &format!("accounts/{id}/reconnect")),
        json!({}),
    )
    .await
    .expect(404);
    test.patch(
        &eve,
        &path(&eve, &format!("sandbox/accounts/{id}")),
        json!({}),
    )
    .await
    .expect(404);
    let editor = test.member(&ada, "edi@example.org", Role::Editor).await;
    go(&test, &editor, &id, "/pause").await.expect(403);
    let body = json!({"network": "sandbox", "form": {"name": "Mine"}});
    test.post(&editor, &path(&ada, "accounts/sign-in"), body)
        .await
        .expect(403);
}

#[tokio::test]
async fn a_person_who_agreed_at_the_network_comes_back_with_an_account() {
    let (test, double) = with_mastodon().await;
    let ada = test.register("ada@example.org").await;
    let (back, cookie) = sent_away(&test, &ada, "accounts/sign-in", &double).await;
    let target = come_back(&test, &back, &cookie).await;
    let id = target
        .strip_prefix("/accounts?connected=")
        .unwrap_or_else(|| panic!("{target}"))
        .to_string();
    let shown = test
        .get(&ada, &path(&ada, &format!("accounts/{id}")))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (shown["network"].as_str(), shown["state"].as_str()),
        (Some("mastodon"), Some("active"))
    );
    // A state is good once.
    assert!(
        come_back(&test, &back, &cookie)
            .await
            .starts_with("/accounts?problem=sign_in.over")
    );
    let (back, cookie) = sent_away(&test, &ada, &format!("accounts/{id}/reconnect"), &double).await;
    assert_eq!(come_back(&test, &back, &cookie).await, target);
    let all = test.get(&ada, &path(&ada, "accounts")).await.body;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_sign_in_counts_only_in_the_browser_that_began_it_and_for_minutes() {
    let (test, double) = with_mastodon().await;
    let ada = test.register("ada@example.org").await;
    let (back, _) = sent_away(&test, &ada, "accounts/sign-in", &double).await;
    assert!(
        come_back(&test, &back, "other=1")
            .await
            .starts_with("/accounts?problem=sign_in.other_browser")
    );
    let (back, cookie) = sent_away(&test, &ada, "accounts/sign-in", &double).await;
    let forged = format!("{}=forged", cookie.split('=').next().unwrap());
    assert!(
        come_back(&test, &back, &forged)
            .await
            .starts_with("/accounts?problem=sign_in.other_browser")
    );
    let looked = test.call("HEAD", &back).header("cookie", &cookie);
    assert_eq!(looked.send().await.expect(405).header("allow"), "GET");
    // Neither used the state up.
    assert!(
        come_back(&test, &back, &cookie)
            .await
            .starts_with("/accounts?connected=")
    );
    let (back, cookie) = sent_away(&test, &ada, "accounts/sign-in", &double).await;
    test.clock.advance(20 * MINUTE);
    assert!(
        come_back(&test, &back, &cookie)
            .await
            .starts_with("/accounts?problem=sign_in.over")
    );
    for nonsense in ["", "?state=", "?state=abc&code=1", "?error=access_denied"] {
        let back = format!("/api/v1/sign-in/callback{nonsense}");
        assert!(
            come_back(&test, &back, "a=b")
                .await
                .starts_with("/accounts?problem=sign_in.over"),
            "{nonsense}"
        );
    }
    let ada = test.log_in("ada@example.org").await;
    let none = test
        .get(&ada, &path(&ada, "accounts?removed=true"))
        .await
        .expect(200);
    assert_eq!(none.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_of_another_server_connects_nothing() {
    let (test, double) = with_mastodon().await;
    let ada = test.register("ada@example.org").await;
    for issuer in ["https://evil.example", "", "data:x"] {
        let (back, cookie) = sent_away(&test, &ada, "accounts/sign-in", &double).await;
        let target = come_back(&test, &format!("{back}&iss={issuer}"), &cookie).await;
        assert!(
            target.starts_with("/accounts?problem=sign_in.other_network"),
            "{issuer}: {target}"
        );
    }
    let (back, cookie) = sent_away(&test, &ada, "accounts/sign-in", &double).await;
    let target = come_back(&test, &format!("{back}&iss={}/", double.url()), &cookie).await;
    assert!(target.starts_with("/accounts?connected="), "{target}");
}

#[tokio::test]
async fn a_sign_in_ends_with_the_right_to_connect() {
    let (test, double) = with_mastodon().await;
    let ada = test.register("ada@example.org").await;
    let admin = test.member(&ada, "adi@example.org", Role::Admin).await;
    let (back, cookie) = sent_away(&test, &admin, "accounts/sign-in", &double).await;
    let at = format!("/api/v1/workspaces/{}/members/{}", ada.workspace, admin.id);
    test.put(&ada, &at, json!({"role": "editor"})).await;
    test.patch(&ada, &at, json!({"role": "editor"})).await;
    let target = come_back(&test, &back, &cookie).await;
    assert!(
        target.starts_with("/accounts?problem=workspace.role_insufficient"),
        "{target}"
    );
}

#[tokio::test]
async fn another_account_than_the_one_to_be_connected_again_is_refused() {
    let (test, double) = with_mastodon().await;
    let ada = test.register("ada@example.org").await;
    let body = json!({"network": "mastodon", "form": {"instance": double.url(), "token": TOKEN}});
    let own = test
        .post(&ada, &path(&ada, "accounts/sign-in"), body)
        .await
        .expect(200)
        .body["account"]
        .clone();
    // The same instance, but the account we have is said to be somebody else.
    let workspace = ada.workspace.parse().unwrap();
    let id = own["id"].as_str().unwrap().parse().unwrap();
    let mut tx = test.app.store.begin().await.unwrap();
    let mut stored = so_store::accounts::find_for_update(&mut tx, workspace, id)
        .await
        .unwrap()
        .unwrap();
    stored.remote_id = "somebody-else".into();
    so_store::accounts::update(&mut tx, &stored).await.unwrap();
    tx.commit().await.unwrap();
    let at = path(&ada, &format!("accounts/{id}/reconnect"));
    let body = json!({"form": {"instance": double.url(), "token": TOKEN}});
    assert_eq!(
        test.post(&ada, &at, body).await.expect(409).code(),
        "account.other"
    );
}
