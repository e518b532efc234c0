//! What is true of every endpoint, tried on every endpoint of the table.

use serde_json::json;
use so_model::{id::UserId, time::MINUTE, workspace::Role};

use crate::{
    http::{Access, Endpoint, openapi::PREFIXES, v1},
    testing::{Person, TestApp},
};

/// The path with ids that name nothing, but for the workspace.
fn path(endpoint: &Endpoint, workspace: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in endpoint.path.split('/') {
        parts.push(
            match part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
            {
                Some("ws") => workspace.to_string(),
                Some(name) if PREFIXES.contains(&name) => format!("{name}_{}", "0".repeat(32)),
                // A version, a name.
                Some(_) => "1".to_string(),
                None => part.to_string(),
            },
        );
    }
    parts.join("/")
}

async fn status(test: &TestApp, endpoint: &Endpoint, workspace: &str, token: Option<&str>) -> u16 {
    let mut call = test
        .call(endpoint.method.as_str(), &path(endpoint, workspace))
        .header("content-type", "application/json");
    if let Some(token) = token {
        call = call.bearer(token);
    }
    call.raw("{").send().await.status.as_u16()
}

/// Endpoints that answer without end cannot be read to the end; who may call them is tried elsewhere.
fn ends(endpoint: &&Endpoint) -> bool {
    endpoint.id != "live.stream"
}

#[tokio::test]
async fn the_role_that_an_endpoint_declares_is_the_least_that_passes() {
    let test = TestApp::new().await;
    let owner = test.register("owner@x.org").await;
    let mut people: Vec<(Option<Role>, Person)> = vec![(Some(Role::Owner), owner.clone())];
    for (role, email) in [
        (Role::Admin, "a@x.org"),
        (Role::Editor, "e@x.org"),
        (Role::Viewer, "v@x.org"),
    ] {
        people.push((Some(role), test.member(&owner, email, role).await));
    }
    people.push((None, test.register("stranger@x.org").await));
    for endpoint in v1::endpoints().iter().filter(ends) {
        for (role, person) in &people {
            // Only those who may end nobody's session: the token must live through the test.
            if endpoint.id == "auth.log_out_everywhere" {
                continue;
            }
            let status = status(&test, endpoint, &owner.workspace, Some(&person.token)).await;
            // The server belongs to whoever registered first, whatever the roles in a workspace.
            if endpoint.id == "instance.confirm" {
                assert_eq!(
                    status == 403,
                    *role != Some(Role::Owner),
                    "{role:?}: {status}"
                );
                continue;
            }
            match (endpoint.access, role) {
                (Access::Member(_), None) => assert_eq!(status, 404, "{endpoint:?}"),
                (Access::Member(needed), Some(role)) if *role < needed => {
                    assert_eq!(status, 403, "{endpoint:?} {role:?}")
                }
                _ => assert!(
                    ![401, 403].contains(&status) || endpoint.access == Access::Public,
                    "{endpoint:?} {role:?}: {status}"
                ),
            }
            assert!(status < 500, "{endpoint:?}: {status}");
        }
    }
}

#[tokio::test]
async fn whoever_is_not_signed_in_gets_nothing() {
    let test = TestApp::new().await;
    let ended = test.register("ended@x.org").await;
    test.call("POST", "/api/v1/auth/logout")
        .cookie(&ended.cookie)
        .send()
        .await
        .expect(204);
    let expired = test.register("expired@x.org").await;
    test.clock.advance(11 * MINUTE);
    for endpoint in v1::endpoints()
        .iter()
        .filter(|endpoint| endpoint.access != Access::Public)
    {
        for token in [
            None,
            Some(&ended.token),
            Some(&expired.token),
            Some(&"nonsense".to_string()),
        ] {
            let status = status(&test, endpoint, &ended.workspace, token.map(String::as_str)).await;
            assert_eq!(status, 401, "{endpoint:?}");
        }
    }
}

#[tokio::test]
async fn a_member_who_was_removed_gets_nothing() {
    let test = TestApp::new().await;
    let owner = test.register("owner@x.org").await;
    let former = test.member(&owner, "former@x.org", Role::Admin).await;
    test.delete(
        &owner,
        &format!(
            "/api/v1/workspaces/{}/members/{}",
            owner.workspace, former.id
        ),
    )
    .await
    .expect(204);
    for endpoint in v1::endpoints()
        .iter()
        .filter(|endpoint| matches!(endpoint.access, Access::Member(_)))
    {
        assert_eq!(
            status(&test, endpoint, &owner.workspace, Some(&former.token)).await,
            404,
            "{endpoint:?}"
        );
    }
}

#[tokio::test]
async fn a_body_is_judged_after_the_caller() {
    let test = TestApp::new().await;
    let owner = test.register("owner@x.org").await;
    for endpoint in v1::endpoints()
        .iter()
        .filter(|endpoint| matches!(endpoint.request, crate::http::endpoint::Content::Json(_)))
    {
        let path = path(endpoint, &owner.workspace);
        let call = || {
            test.call(endpoint.method.as_str(), &path)
                .bearer(&owner.token)
        };
        assert_eq!(
            call().raw("{}").send().await.expect(415).code(),
            "request.content_type",
            "{endpoint:?}"
        );
        for wrong in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
        ] {
            call()
                .header("content-type", wrong)
                .raw("{}")
                .send()
                .await
                .expect(415);
        }
        let malformed = call()
            .header("content-type", "application/json")
            .raw("{")
            .send()
            .await
            .expect(400);
        assert_eq!(malformed.code(), "request.malformed", "{endpoint:?}");
        let large = call()
            .header("content-type", "application/json")
            .raw(vec![b' '; endpoint.body_bytes_max + 1])
            .send()
            .await;
        assert_eq!(
            large.expect(413).code(),
            "request.too_large",
            "{endpoint:?}"
        );
        let unknown = call().json(&json!({ "surely_unknown": 1 })).send().await;
        assert_eq!(
            unknown.expect(422).body["errors"][0]["pointer"],
            "/surely_unknown",
            "{endpoint:?}"
        );
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_and_every_error_is_a_problem() {
    let test = TestApp::new().await;
    let owner = test.register("owner@x.org").await;
    let mut targets: Vec<(String, String)> = [
        "/",
        "/posts/1",
        "/missing.js",
        "/api",
        "/api/v1",
        "/api/nothing",
        "/api/docs",
        "/api/docs/explorer.js",
        "/api/docs/nothing",
        "/api/openapi.json",
        "/healthz",
        "/readyz",
        "/metrics",
    ]
    .iter()
    .flat_map(|path| {
        ["GET", "POST", "HEAD", "OPTIONS"].map(|method| (method.to_string(), path.to_string()))
    })
    .collect();
    for endpoint in v1::endpoints().iter().filter(ends) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "BREW"] {
            let is_live = method == "HEAD";
            if !is_live && endpoint.id != "auth.log_out_everywhere" {
                targets.push((method.to_string(), path(endpoint, &owner.workspace)));
            }
        }
    }
    for (method, path) in targets {
        let answer = test.call(&method, &path).bearer(&owner.token).send().await;
        for name in [
            "content-security-policy",
            "referrer-policy",
            "permissions-policy",
            "cache-control",
            "x-request-id",
        ] {
            assert!(!answer.header(name).is_empty(), "{method} {path}: {name}");
        }
        assert_eq!(
            answer.header("x-content-type-options"),
            "nosniff",
            "{method} {path}"
        );
        let csp = answer.header("content-security-policy");
        assert!(
            csp.contains("frame-ancestors 'none'") && !csp.contains("unsafe-inline"),
            "{csp}"
        );
        let status = answer.status.as_u16();
        assert!(status < 500, "{method} {path}: {status}");
        if status >= 400 && method != "HEAD" {
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{method} {path}: {status}"
            );
            assert_eq!(answer.body["status"], status, "{method} {path}");
            assert!(
                answer.body["next_step"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{method} {path}"
            );
        }
        if status == 405 {
            assert!(!answer.header("allow").is_empty(), "{method} {path}");
        }
    }
}

#[test]
fn an_endpoint_for_members_names_the_workspace() {
    for endpoint in v1::endpoints() {
        let names = endpoint.path.contains("/{ws}");
        match endpoint.access {
            Access::Member(_) => assert!(names, "{endpoint:?}"),
            // It would have to check the membership itself.
            Access::SignedIn => assert!(!names, "{endpoint:?}"),
            // Whoever reads without signing in proves their right by the address itself.
            Access::Public => {}
        }
        let is_ours = endpoint.path.starts_with("/api/v1/");
        assert!(is_ours || endpoint.access == Access::Public, "{endpoint:?}");
    }
    // The id of nothing that the tests above use reads as an id.
    assert!(format!("user_{}", "0".repeat(32)).parse::<UserId>().is_ok());
}
