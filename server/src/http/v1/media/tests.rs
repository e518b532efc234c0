//! Uploads in process.

use image::ImageFormat;
use serde_json::json;
use so_model::{time::HOUR, workspace::Role};

use super::super::posts::fixture::{account, path, post_path};
use crate::{
    app::media::{BYTES_MAX, bomb, picture},
    testing::{Answer, Person, TestApp},
};

const BORDER: &str = "a-border-that-no-picture-holds";

fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file
            .map(|file| format!("; filename=\"{file}\""))
            .unwrap_or_default();
        body.extend(
            format!("--{BORDER}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n")
                .into_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend(format!("--{BORDER}--\r\n").into_bytes());
    body
}

async fn send(test: &TestApp, person: &Person, body: Vec<u8>) -> Answer {
    let call = test
        .call("POST", &path(person, "media"))
        .bearer(&person.token);
    call.header(
        "content-type",
        &format!("multipart/form-data; boundary={BORDER}"),
    )
    .raw(body)
    .send()
    .await
}

async fn upload(test: &TestApp, person: &Person, bytes: &[u8]) -> Answer {
    send(
        test,
        person,
        form(&[
            ("alt", None, "Ein Bild".as_bytes()),
            ("file", Some("cat.exe"), bytes),
        ]),
    )
    .await
}

#[tokio::test]
async fn a_picture_is_kept_shown_and_deleted() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let bytes = picture(ImageFormat::Png);
    let file = upload(&test, &ada, &bytes).await.expect(201).body;
    assert_eq!(
        (
            file["mime"].as_str(),
            file["width"].as_i64(),
            file["alt"].as_str()
        ),
        (Some("image/png"), Some(3), Some("Ein Bild"))
    );
    let url = file["url"].as_str().unwrap().to_string();
    let shown = test.call("GET", &url).send().await.expect(200);
    assert_eq!(shown.header("content-type"), "image/png");
    assert_eq!(shown.header("x-content-type-options"), "nosniff");
    assert_eq!(
        shown.header("content-security-policy"),
        "sandbox; default-src 'none'"
    );
    assert_eq!(shown.header("content-length"), bytes.len().to_string());
    let at = path(&ada, &format!("media/{}", file["id"].as_str().unwrap()));
    assert_eq!(
        test.patch(&ada, &at, json!({"alt": "A picture"}))
            .await
            .expect(200)
            .body["alt"],
        "A picture"
    );
    assert_eq!(
        test.get(&ada, &path(&ada, "media")).await.expect(200).body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    test.delete(&ada, &at).await.expect(204);
    test.get(&ada, &at).await.expect(404);
    test.call("GET", &url).send().await.expect(404);
}

#[tokio::test]
async fn the_address_of_a_file_ends_and_cannot_be_made_up() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let file = upload(&test, &ada, &picture(ImageFormat::Gif))
        .await
        .expect(201)
        .body;
    let other = upload(&test, &ada, &picture(ImageFormat::Gif))
        .await
        .expect(201)
        .body;
    let url = file["url"].as_str().unwrap();
    let swapped = url.replace(file["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    assert_eq!(
        test.call("GET", &swapped).send().await.expect(403).code(),
        "media.link_over"
    );
    let longer = url.replace("until=18", "until=19");
    assert_eq!(
        test.call("GET", &longer).send().await.expect(403).code(),
        "media.link_over"
    );
    let bare = url.split('?').next().unwrap();
    test.call("GET", bare).send().await.expect(422);
    test.call("GET", bare)
        .bearer(&ada.token)
        .send()
        .await
        .expect(422);
    test.clock.advance(HOUR);
    assert_eq!(
        test.call("GET", url).send().await.expect(403).code(),
        "media.link_over"
    );
}

#[tokio::test]
async fn what_is_no_picture_or_a_bomb_is_refused() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    for (bytes, status, code) in [
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            415,
            "media.kind",
        ),
        (b"#!/bin/sh".to_vec(), 415, "media.kind"),
        (Vec::new(), 415, "media.kind"),
        (bomb(60_000, 60_000), 422, "media.too_many_pixels"),
        (bomb(4000, 4000), 422, "media.broken"),
    ] {
        assert_eq!(
            upload(&test, &ada, &bytes).await.expect(status).code(),
            code
        );
    }
    let large = upload(&test, &ada, &vec![0; BYTES_MAX + 1])
        .await
        .expect(413);
    assert_eq!(large.code(), "request.too_large");
    let larger = upload(&test, &ada, &vec![0; BYTES_MAX + 1024 * 1024])
        .await
        .expect(413);
    assert_eq!(larger.code(), "request.too_large");
    assert_eq!(
        test.get(&ada, &path(&ada, "media")).await.body["items"],
        json!([])
    );
}

#[tokio::test]
async fn wrong_forms_are_refused_with_what_is_wrong() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let as_json = test
        .post(&ada, &path(&ada, "media"), json!({"file": "x"}))
        .await
        .expect(415);
    assert_eq!(as_json.code(), "request.content_type");
    let bytes = picture(ImageFormat::Jpeg);
    for (parts, pointer) in [
        (vec![("alt", None, b"a".as_slice())], "/file"),
        (
            vec![
                ("file", Some("a"), &bytes[..]),
                ("file", Some("b"), &bytes[..]),
            ],
            "/file",
        ),
        (vec![("picture", Some("a"), &bytes[..])], "/picture"),
        (
            vec![
                ("alt", None, b"\xff\xfe".as_slice()),
                ("file", Some("a"), &bytes[..]),
            ],
            "/alt",
        ),
    ] {
        let answer = send(&test, &ada, form(&parts)).await.expect(422);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
    }
    let mut cut = form(&[("file", Some("a"), &bytes)]);
    cut.truncate(cut.len() - 20);
    assert_eq!(
        send(&test, &ada, cut).await.expect(400).code(),
        "request.body_broken"
    );
}

#[tokio::test]
async fn a_file_stays_while_an_unsent_post_uses_it() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let file = upload(&test, &ada, &picture(ImageFormat::WebP))
        .await
        .expect(201)
        .body;
    let body = json!({
        "content": {"kind": "photo", "text": "look", "media": [{"id": file["id"], "alt": ""}]},
        "variants": [{"account": account(&test, &ada, "Trial").await}],
    });
    let post = test
        .post(&ada, &path(&ada, "posts"), body)
        .await
        .expect(201)
        .body;
    let at = path(&ada, &format!("media/{}", file["id"].as_str().unwrap()));
    let refused = test.delete(&ada, &at).await.expect(409);
    assert_eq!(refused.code(), "media.in_use");
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains(post["id"].as_str().unwrap())
    );
    test.delete(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200);
    test.delete(&ada, &at).await.expect(204);
}

#[tokio::test]
async fn files_of_others_are_not_there_and_viewers_upload_none() {
    let test = TestApp::new().await;
    let (ada, eve) = (
        test.register("ada@example.org").await,
        test.register("eve@example.org").await,
    );
    let file = upload(&test, &ada, &picture(ImageFormat::Png))
        .await
        .expect(201)
        .body;
    let foreign = path(&eve, &format!("media/{}", file["id"].as_str().unwrap()));
    test.get(&eve, &foreign).await.expect(404);
    test.patch(&eve, &foreign, json!({"alt": "mine"}))
        .await
        .expect(404);
    test.delete(&eve, &foreign).await.expect(404);
    let viewer = test.member(&ada, "vic@example.org", Role::Viewer).await;
    upload(&test, &viewer, &picture(ImageFormat::Png))
        .await
        .expect(403);
}

#[tokio::test]
async fn an_upload_without_a_place_is_turned_away_before_it_is_read() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let mut places = Vec::new();
    while let Ok(place) = crate::app::media::place(&test.app) {
        places.push(place);
    }
    assert_eq!(places.len(), 4);
    let refused = send(&test, &ada, b"no form at all".to_vec())
        .await
        .expect(503);
    assert_eq!(refused.code(), "media.busy");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.header("retry-after"), "5");
    places.pop();
    upload(&test, &ada, &picture(ImageFormat::Png))
        .await
        .expect(201);
    // And again: the place came back.
    upload(&test, &ada, &picture(ImageFormat::Png))
        .await
        .expect(201);
}
