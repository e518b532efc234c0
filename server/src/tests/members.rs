//! Workspaces, members and roles.

use serde_json::json;
use so_model::workspace::Role;

use crate::testing::TestApp;

#[tokio::test]
async fn a_workspace_is_made_read_and_changed() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let made = test
        .post(&ada, "/api/v1/workspaces", json!({ "name": "Shop" }))
        .await
        .expect(201)
        .body;
    assert_eq!(
        (&made["role"], &made["workspace"]["time_zone"]),
        (&json!("owner"), &json!("UTC"))
    );
    let path = format!(
        "/api/v1/workspaces/{}",
        made["workspace"]["id"].as_str().unwrap()
    );
    let changed = test
        .patch(
            &ada,
            &path,
            json!({ "time_zone": "Asia/Tokyo", "approval_required": true }),
        )
        .await
        .expect(200)
        .body;
    assert_eq!(changed["workspace"]["name"], "Shop");
    assert_eq!(test.get(&ada, &path).await.expect(200).body, changed);
    let list = test.get(&ada, "/api/v1/workspaces").await.expect(200).body;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let wrong = test
        .patch(&ada, &path, json!({ "name": "", "time_zone": "Mars/Base" }))
        .await
        .expect(422)
        .body;
    assert_eq!(wrong["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn anothers_workspace_and_one_that_does_not_exist_look_the_same() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let eve = test.register("eve@x.org").await;
    for (method, end) in [
        ("GET", ""),
        ("PATCH", ""),
        ("GET", "/members"),
        ("POST", "/members"),
        ("GET", "/live"),
    ] {
        let call = async |workspace: &str| {
            let path = format!("/api/v1/workspaces/{workspace}{end}");
            let answer = test
                .call(method, &path)
                .bearer(&eve.token)
                .json(&json!({}))
                .send()
                .await
                .expect(404);
            (answer.body, answer.headers.len())
        };
        let foreign = call(&ada.workspace).await;
        assert_eq!(foreign, call("ws_00000000000000000000000000000000").await);
        assert_eq!(foreign, call("nonsense").await);
        assert_eq!(foreign.0["code"], "workspace.not_found");
    }
}

#[tokio::test]
async fn members_are_added_changed_and_removed() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let eve = test.register("eve@x.org").await;
    let members = format!("/api/v1/workspaces/{}/members", ada.workspace);
    let own = format!("{members}/{}", eve.id);
    test.post(
        &ada,
        &members,
        json!({ "email": "nobody@x.org", "role": "viewer" }),
    )
    .await
    .expect(422);
    let added = test
        .post(
            &ada,
            &members,
            json!({ "email": "EVE@x.org", "role": "viewer" }),
        )
        .await
        .expect(201)
        .body;
    assert_eq!(
        (&added["role"], &added["user"]["id"]),
        (&json!("viewer"), &json!(eve.id))
    );
    assert_eq!(
        test.post(
            &ada,
            &members,
            json!({ "email": "eve@x.org", "role": "owner" })
        )
        .await
        .expect(409)
        .code(),
        "member.exists"
    );
    assert_eq!(
        test.get(&eve, &members).await.expect(200).body["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    test.put(&ada, &own, json!({ "role": "editor" }))
        .await
        .expect(200);
    test.put(&ada, &own, json!({ "role": "emperor" }))
        .await
        .expect(422);
    test.delete(&ada, &own).await.expect(204);
    test.get(&eve, &members).await.expect(404);
    test.delete(&ada, &own).await.expect(404);
    test.put(&ada, &own, json!({ "role": "editor" }))
        .await
        .expect(404);
}

#[tokio::test]
async fn the_last_owner_stays() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let own = format!("/api/v1/workspaces/{}/members/{}", ada.workspace, ada.id);
    assert_eq!(
        test.put(&ada, &own, json!({ "role": "admin" }))
            .await
            .expect(409)
            .code(),
        "workspace.last_owner"
    );
    assert_eq!(
        test.delete(&ada, &own).await.expect(409).code(),
        "workspace.last_owner"
    );
    test.member(&ada, "eve@x.org", Role::Owner).await;
    test.delete(&ada, &own).await.expect(204);
}

#[tokio::test]
async fn an_admin_cannot_rise_or_bring_an_owner_down() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let adm = test.member(&ada, "adm@x.org", Role::Admin).await;
    let eve = test.register("eve@x.org").await;
    let members = format!("/api/v1/workspaces/{}/members", ada.workspace);
    let rise = test
        .put(
            &adm,
            &format!("{members}/{}", adm.id),
            json!({ "role": "owner" }),
        )
        .await
        .expect(403);
    assert_eq!(rise.code(), "workspace.role_insufficient");
    test.put(
        &adm,
        &format!("{members}/{}", ada.id),
        json!({ "role": "viewer" }),
    )
    .await
    .expect(403);
    test.delete(&adm, &format!("{members}/{}", ada.id))
        .await
        .expect(403);
    test.post(
        &adm,
        &members,
        json!({ "email": eve.email, "role": "owner" }),
    )
    .await
    .expect(403);
    test.post(
        &adm,
        &members,
        json!({ "email": eve.email, "role": "admin" }),
    )
    .await
    .expect(201);
}

#[tokio::test]
async fn everybody_may_leave_but_only_admins_remove_others() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let viewer = test.member(&ada, "v@x.org", Role::Viewer).await;
    let editor = test.member(&ada, "e@x.org", Role::Editor).await;
    let members = format!("/api/v1/workspaces/{}/members", ada.workspace);
    test.delete(&editor, &format!("{members}/{}", viewer.id))
        .await
        .expect(403);
    test.delete(&viewer, &format!("{members}/{}", viewer.id))
        .await
        .expect(204);
}
