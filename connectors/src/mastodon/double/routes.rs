//! The calls that the double answers.
//!
//! Owns checks and refusals in Mastodon's order. Must not log an effect but
//! through the core. Invariant: a status that is refused changes nothing.

use std::collections::HashMap;

use axum::{
    Form, Json,
    extract::{Multipart, Path, Query, State as With},
    http::HeaderMap,
    response::Response,
};
use serde_json::{Value, json};
use so_model::{
    Timestamp,
    network::{TextRule, TextUnit},
    text::{measure, units},
};

use super::{
    ALT_MAX, App, Double, Flavour, MANNER, State, TEXT_MAX, Upload, configuration, limits,
};
use crate::doubles::{Effect, Op, answer, bearer, locked, serve};

fn error(status: u16, text: &str) -> Response {
    answer(status, json!({ "error": text }))
}

fn authorise(state: &State, headers: &HeaderMap, scope: &str) -> Result<(), Box<Response>> {
    let scopes = bearer(headers).and_then(|token| state.tokens.get(&token).cloned());
    let Some(scopes) = scopes else {
        return Err(Box::new(error(401, "The access token is invalid")));
    };
    let broad = scope.split(':').next().unwrap_or(scope);
    if scopes
        .split(' ')
        .any(|given| given == scope || given == broad)
    {
        return Ok(());
    }
    Err(Box::new(error(
        403,
        "This action is outside the authorized scopes",
    )))
}

pub(super) async fn instance_v2(With(double): With<Double>) -> Response {
    let state = locked(&double.state);
    if state.flavour == Flavour::Old {
        return error(404, "Record not found");
    }
    answer(
        200,
        json!({ "domain": state.domain(), "title": "M", "version": "4.5.3", "configuration": configuration() }),
    )
}

pub(super) async fn instance_v1(With(double): With<Double>) -> Response {
    let state = locked(&double.state);
    if state.flavour == Flavour::Old {
        return answer(
            200,
            json!({ "uri": state.domain(), "version": "2.9.0", "max_toot_chars": TEXT_MAX }),
        );
    }
    answer(
        200,
        json!({ "uri": state.domain(), "version": "4.5.3", "configuration": configuration() }),
    )
}

pub(super) async fn register_app(
    With(double): With<Double>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let member = |key: &str| form.get(key).cloned().unwrap_or_default();
    if member("client_name").is_empty() || member("redirect_uris").is_empty() {
        return error(
            422,
            "Validation failed: Redirect URI must be an absolute URI.",
        );
    }
    let mut state = locked(&double.state);
    let id = format!("client-{}", state.next());
    let app = App {
        secret: format!("secret-{id}"),
        redirect_uri: member("redirect_uris"),
        scopes: member("scopes"),
    };
    let body = json!({ "id": "1", "name": member("client_name"), "client_id": id, "client_secret": app.secret });
    state.apps.insert(id, app);
    answer(200, body)
}

pub(super) async fn give_token(
    With(double): With<Double>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let member = |key: &str| form.get(key).cloned().unwrap_or_default();
    let mut state = locked(&double.state);
    let known = state
        .apps
        .get(&member("client_id"))
        .is_some_and(|app| app.secret == member("client_secret"));
    if !known {
        return answer(
            401,
            json!({ "error": "invalid_client", "error_description": "Client authentication failed" }),
        );
    }
    let refused = || {
        answer(
            400,
            json!({ "error": "invalid_grant", "error_description": "The grant is invalid" }),
        )
    };
    // A code is good once.
    let Some(code) = state.codes.remove(&member("code")) else {
        return refused();
    };
    let verified = match &code.challenge {
        None => true,
        Some(challenge) => challenge_of(&member("code_verifier")) == *challenge,
    };
    if code.client_id != member("client_id")
        || code.redirect_uri != member("redirect_uri")
        || !verified
    {
        return refused();
    }
    let token = format!("token-{}", state.next());
    state.tokens.insert(token.clone(), code.scope.clone());
    answer(
        200,
        json!({ "access_token": token, "token_type": "Bearer", "scope": code.scope, "created_at": 1 }),
    )
}

fn challenge_of(verifier: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier))
}

pub(super) async fn profile(With(double): With<Double>, headers: HeaderMap) -> Response {
    if let Err(refusal) = authorise(&locked(&double.state), &headers, "read:accounts") {
        return *refusal;
    }
    answer(
        200,
        json!({
            "id": "14715", "username": "ann", "acct": "ann", "display_name": "Ann", "url": "https://m.example/@ann",
            "avatar": "https://m.example/a.png", "followers_count": 3,
        }),
    )
}

async fn upload(double: Double, headers: HeaderMap, mut form: Multipart, version: u8) -> Response {
    let (mut mime, mut alt, mut bytes) = (String::new(), String::new(), 0);
    while let Ok(Some(field)) = form.next_field().await {
        match field.name() {
            Some("file") => {
                mime = field.content_type().unwrap_or_default().to_owned();
                bytes = field.bytes().await.map_or(0, |bytes| bytes.len());
            }
            Some("description") => alt = field.text().await.unwrap_or_default(),
            _ => {}
        }
    }
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Upload, move || {
        let mut state = locked(&double.state);
        if let Err(refusal) = authorise(&state, &headers, "write:media") {
            return *refusal;
        }
        let types = configuration();
        let known = types["media_attachments"]["supported_mime_types"].as_array().into_iter().flatten();
        if bytes == 0 || !known.into_iter().any(|known| known == &mime) {
            return error(422, "Validation failed: File content type is invalid, File is invalid");
        }
        if units(TextUnit::Graphemes, &alt) > ALT_MAX {
            return error(422, "Validation failed: Description is too long (maximum is 1500 characters)");
        }
        let id = state.next().to_string();
        let looks_left = if version == 2 { state.processing_looks } else { 0 };
        let body = json!({ "id": id, "type": "image", "url": (looks_left == 0).then_some("https://m.example/o.png"),
            "description": alt });
        state.media.insert(id, Upload { mime, alt, looks_left, is_used: false });
        answer(if looks_left == 0 { 200 } else { 202 }, body)
    })
    .await
}

pub(super) async fn upload_v2(
    With(double): With<Double>,
    headers: HeaderMap,
    form: Multipart,
) -> Response {
    if locked(&double.state).flavour == Flavour::Old {
        return error(404, "Record not found");
    }
    upload(double, headers, form, 2).await
}

pub(super) async fn upload_v1(
    With(double): With<Double>,
    headers: HeaderMap,
    form: Multipart,
) -> Response {
    upload(double, headers, form, 1).await
}

pub(super) async fn look(
    With(double): With<Double>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let mut state = locked(&double.state);
    if let Err(refusal) = authorise(&state, &headers, "write:media") {
        return *refusal;
    }
    let fails = state.fails_processing;
    let Some(upload) = state.media.get_mut(&id) else {
        return error(404, "Record not found");
    };
    if fails {
        return error(422, "Error processing thumbnail for uploaded media");
    }
    if upload.looks_left > 0 {
        upload.looks_left -= 1;
    }
    let status = if upload.looks_left > 0 { 206 } else { 200 };
    answer(status, json!({ "id": id, "description": upload.alt }))
}

pub(super) async fn publish(
    With(double): With<Double>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let core = double.core.clone();
    let state = double.state.clone();
    let mut response = serve(&core, &MANNER, Op::Publish, move || {
        take(&double, &headers, &body)
    })
    .await;
    let standing = limits::statuses(&mut locked(&state), core.now());
    limits::describe(&mut response, &standing);
    response
}

fn take(double: &Double, headers: &HeaderMap, body: &Value) -> Response {
    let mut state = locked(&double.state);
    if let Err(refusal) = authorise(&state, headers, "write:statuses") {
        return *refusal;
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok())
        .map(str::to_owned);
    let known = key.as_ref().and_then(|key| state.keys.get(key)).cloned();
    if let Some(status) =
        known.and_then(|id| state.statuses.iter().find(|status| status["id"] == *id))
    {
        return answer(200, status.clone());
    }
    let media: Vec<String> = body["media_ids"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    if let Some(refusal) = refusal(&state, body, &media) {
        return refusal;
    }
    let now = double.core.now();
    if let Err(too_many) = limits::one_more_status(&mut state, now) {
        return *too_many;
    }
    let id = format!("115{:015}", state.next());
    let status = status_of(&id, body, &state, &media, now);
    for id in &media {
        if let Some(upload) = state.media.get_mut(id) {
            upload.is_used = true;
        }
    }
    double.core.log(Effect {
        what: "publish",
        remote_id: id.clone(),
        text: body["status"].as_str().unwrap_or("").to_owned(),
        media: media.len(),
        reply_to: body["in_reply_to_id"].as_str().map(str::to_owned),
        body: body.clone(),
    });
    state.statuses.push(status.clone());
    if let Some(key) = key.filter(|_| !state.forgets_keys) {
        state.keys.insert(key, id);
    }
    answer(200, status)
}

fn refusal(state: &State, body: &Value, media: &[String]) -> Option<Response> {
    let text = body["status"].as_str().unwrap_or("");
    let warning = body["spoiler_text"].as_str().unwrap_or("");
    let has_poll = body.get("poll").is_some_and(|poll| !poll.is_null());
    let rule = TextRule {
        unit: TextUnit::Graphemes,
        max: TEXT_MAX,
        bytes_max: None,
        url_length: Some(23),
        short_mentions: true,
    };
    if text.is_empty() && media.is_empty() {
        return Some(error(422, "Validation failed: Text can't be blank"));
    }
    if measure(&rule, text).used + units(TextUnit::Graphemes, warning) > TEXT_MAX {
        return Some(error(
            422,
            "Validation failed: Text character limit of 600 exceeded",
        ));
    }
    if media.len() > 4 || (has_poll && !media.is_empty()) {
        return Some(error(422, "Cannot attach more than 4 files"));
    }
    for id in media {
        match state.media.get(id) {
            Some(upload) if upload.looks_left > 0 => {
                return Some(error(
                    422,
                    "Cannot attach files that have not finished processing. Try again in a moment!",
                ));
            }
            Some(upload) if upload.is_used => {
                return Some(error(422, "Validation failed: Media is used"));
            }
            Some(upload) if media.len() > 1 && upload.mime.starts_with("video/") => {
                return Some(error(
                    422,
                    "Cannot attach a video to a post that already contains images",
                ));
            }
            Some(_) => {}
            None => return Some(error(404, "Record not found")),
        }
    }
    if has_poll {
        let options = body["poll"]["options"].as_array().map_or(0, Vec::len);
        let expires = body["poll"]["expires_in"].as_u64().unwrap_or(0);
        if !(2..=4).contains(&options) || !(300..=2_629_746).contains(&expires) {
            return Some(error(
                422,
                "Validation failed: Poll options must be more than one",
            ));
        }
    }
    if let Some(parent) = body["in_reply_to_id"].as_str()
        && !state.statuses.iter().any(|status| status["id"] == *parent)
    {
        return Some(error(404, "Record not found"));
    }
    let visibility = body["visibility"].as_str().unwrap_or("public");
    let is_known = ["public", "unlisted", "private", "direct"].contains(&visibility);
    (!is_known).then(|| {
        error(
            422,
            "Validation failed: Visibility is not included in the list",
        )
    })
}

fn status_of(id: &str, body: &Value, state: &State, media: &[String], now: Timestamp) -> Value {
    let text = body["status"].as_str().unwrap_or("");
    let attachments: Vec<Value> = media
        .iter()
        .map(|id| json!({ "id": id, "type": "image", "description": state.media.get(id).map(|upload| upload.alt.clone()) }))
        .collect();
    json!({
        "id": id, "created_at": now.plus(-state.behind).to_string(), "in_reply_to_id": body["in_reply_to_id"],
        "sensitive": body["sensitive"].as_bool().unwrap_or(false), "spoiler_text": body["spoiler_text"].as_str().unwrap_or(""),
        "visibility": body["visibility"].as_str().unwrap_or("public"), "language": body["language"],
        "uri": format!("https://m.example/users/ann/statuses/{id}"), "url": format!("https://m.example/@ann/{id}"),
        "replies_count": 0, "reblogs_count": 1, "favourites_count": 2, "content": html_of(text),
        "media_attachments": attachments, "poll": body["poll"], "account": { "id": "14715", "acct": "ann" },
    })
}

fn html_of(text: &str) -> String {
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| {
            let escaped = html_escape::encode_text(paragraph).replace('\n', "<br />");
            let words: Vec<String> = escaped.split(' ').map(linked).collect();
            format!("<p>{}</p>", words.join(" "))
        })
        .collect();
    paragraphs.concat()
}

fn linked(word: &str) -> String {
    match word.strip_prefix("https://") {
        Some(rest) => format!(
            "<a href=\"{word}\"><span class=\"invisible\">https://</span><span>{rest}</span></a>"
        ),
        None => word.to_owned(),
    }
}

pub(super) async fn list(
    With(double): With<Double>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Read, move || {
        let state = locked(&double.state);
        if let Err(refusal) = authorise(&state, &headers, "read:statuses") {
            return *refusal;
        }
        if id != "14715" {
            return error(404, "Record not found");
        }
        let limit = query
            .get("limit")
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(20)
            .min(40);
        let before = |status: &&Value| {
            query
                .get("max_id")
                .is_none_or(|max| status["id"].as_str() < Some(max.as_str()))
        };
        let page: Vec<Value> = state
            .statuses
            .iter()
            .rev()
            .filter(before)
            .take(limit)
            .cloned()
            .collect();
        let mut response = answer(200, Value::Array(page));
        let date = double
            .core
            .now()
            .plus(-state.behind)
            .to_chrono()
            .to_rfc2822()
            .replace("+0000", "GMT");
        if let Ok(date) = date.parse() {
            response.headers_mut().insert("date", date);
        }
        response
    })
    .await
}

pub(super) async fn read(
    With(double): With<Double>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Read, move || {
        let state = locked(&double.state);
        if let Err(refusal) = authorise(&state, &headers, "read:statuses") {
            return *refusal;
        }
        match state.statuses.iter().find(|status| status["id"] == *id) {
            Some(status) => answer(200, status.clone()),
            None => error(404, "Record not found"),
        }
    })
    .await
}

pub(super) async fn delete(
    With(double): With<Double>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Delete, move || {
        let mut state = locked(&double.state);
        if let Err(refusal) = authorise(&state, &headers, "write:statuses") {
            return *refusal;
        }
        if state.cannot_delete {
            return error(404, "Record not found");
        }
        let Some(at) = state.statuses.iter().position(|status| status["id"] == *id) else {
            return error(404, "Record not found");
        };
        let status = state.statuses.remove(at);
        double.core.log(Effect {
            what: "delete",
            remote_id: id,
            text: String::new(),
            media: 0,
            reply_to: None,
            body: Value::Null,
        });
        answer(200, status)
    })
    .await
}
