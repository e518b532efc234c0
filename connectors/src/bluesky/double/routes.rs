//! The calls that the double answers.
//!
//! Owns the checks of records that the schemas demand. Must not log an effect
//! but through the core. Invariant: a record that is refused changes nothing.

use std::collections::HashMap;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, RawQuery, State as With},
    http::HeaderMap,
    response::Response,
};
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation;

use super::{DID, Double, HANDLE, MANNER, PASSWORD, State, cid, limits};
use crate::doubles::{Effect, Op, answer, bearer, locked, serve};

const COLLECTION: &str = "app.bsky.feed.post";

fn error(status: u16, name: &str, message: &str) -> Response {
    answer(status, json!({ "error": name, "message": message }))
}

fn authorise(state: &State, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let refusal = match bearer(headers) {
        Some(token) if state.access.contains(&token) => return Ok(()),
        Some(token) if state.expired.contains(&token) => {
            error(400, "ExpiredToken", "Token has expired")
        }
        Some(_) => error(400, "InvalidToken", "Token could not be verified"),
        None => error(401, "AuthMissing", "Authentication Required"),
    };
    Err(Box::new(refusal))
}

pub(super) async fn create_session(
    With(double): With<Double>,
    Json(body): Json<Value>,
) -> Response {
    let known = [DID, HANDLE]
        .iter()
        .any(|name| body["identifier"] == **name);
    if !known || body["password"] != PASSWORD {
        return error(
            401,
            "AuthenticationRequired",
            "Invalid identifier or password",
        );
    }
    answer(200, locked(&double.state).open_session(double.core.now()))
}

pub(super) async fn refresh_session(With(double): With<Double>, headers: HeaderMap) -> Response {
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Refresh, move || {
        let mut state = locked(&double.state);
        let token = bearer(&headers).unwrap_or_default();
        let Some(at) = state.refresh.iter().position(|known| *known == token) else {
            return error(400, "ExpiredToken", "Token has been revoked");
        };
        state.refresh.remove(at);
        state.refreshes += 1;
        answer(200, state.open_session(double.core.now()))
    })
    .await
}

pub(super) async fn get_session(With(double): With<Double>, headers: HeaderMap) -> Response {
    match authorise(&locked(&double.state), &headers) {
        Ok(()) => answer(200, json!({ "did": DID, "handle": HANDLE, "active": true })),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn resolve_handle(
    With(double): With<Double>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let handle = query.get("handle").cloned().unwrap_or_default();
    match locked(&double.state).handles.get(&handle) {
        Some(did) => answer(200, json!({ "did": did })),
        None => error(400, "InvalidRequest", "Unable to resolve handle"),
    }
}

pub(super) async fn get_profile(With(double): With<Double>, headers: HeaderMap) -> Response {
    match authorise(&locked(&double.state), &headers) {
        Ok(()) => answer(
            200,
            json!({ "did": DID, "handle": HANDLE, "displayName": "Ann", "avatar": "https://x.example/a.jpg" }),
        ),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn upload(
    With(double): With<Double>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Upload, move || {
        let mut state = locked(&double.state);
        if let Err(refusal) = authorise(&state, &headers) {
            return *refusal;
        }
        let mime = headers.get("content-type").and_then(|mime| mime.to_str().ok()).unwrap_or("").to_owned();
        if bytes.is_empty() || mime.is_empty() {
            return error(400, "InvalidRequest", "Request encoding (Content-Type) required but not provided");
        }
        let name = cid(&bytes);
        let blob = json!({ "$type": "blob", "ref": { "$link": name }, "mimeType": mime, "size": bytes.len() });
        state.blobs.insert(name, (mime, bytes.len()));
        answer(200, json!({ "blob": blob }))
    })
    .await
}

pub(super) async fn put_record(
    With(double): With<Double>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Publish, move || {
        take(&double, &headers, &body)
    })
    .await
}

fn take(double: &Double, headers: &HeaderMap, body: &Value) -> Response {
    let mut state = locked(&double.state);
    if let Err(refusal) = authorise(&state, headers) {
        return *refusal;
    }
    let rkey = body["rkey"].as_str().unwrap_or("");
    let record = &body["record"];
    let points = match state.records.contains_key(rkey) {
        true => limits::UPDATE,
        false => limits::CREATE,
    };
    // Points are taken before the record is looked at.
    let standing = match limits::write(&mut state, points, double.core.now()) {
        Ok(standing) => standing,
        Err(too_many) => return *too_many,
    };
    let mut response = put(double, &mut state, rkey, record, body);
    limits::describe(&mut response, &standing);
    response
}

fn put(double: &Double, state: &mut State, rkey: &str, record: &Value, body: &Value) -> Response {
    if body["repo"] != DID
        || body["collection"] != COLLECTION
        || record["$type"] != COLLECTION
        || !is_tid(rkey)
    {
        return error(400, "InvalidRequest", "Invalid record key or collection");
    }
    if let Err((name, message)) = check(state, record) {
        return error(400, name, &message);
    }
    let uri = format!("at://{DID}/{COLLECTION}/{rkey}");
    let hash = cid(record.to_string().as_bytes());
    if state.records.get(rkey) == Some(record) {
        // The same record again is no change, and no commit.
        return answer(
            200,
            json!({ "uri": uri, "cid": hash, "validationStatus": "valid" }),
        );
    }
    state.records.insert(rkey.to_owned(), record.clone());
    let images = record["embed"]["images"].as_array().map_or(0, Vec::len);
    double.core.log(Effect {
        what: "publish",
        remote_id: uri.clone(),
        text: record["text"].as_str().unwrap_or("").to_owned(),
        media: images + usize::from(record["embed"].get("video").is_some()),
        reply_to: record["reply"]["parent"]["uri"].as_str().map(str::to_owned),
        body: record.clone(),
    });
    answer(
        200,
        json!({ "uri": uri, "cid": hash, "commit": { "cid": hash, "rev": rkey }, "validationStatus": "valid" }),
    )
}

fn is_tid(rkey: &str) -> bool {
    let mut chars = rkey.chars();
    rkey.len() == 13
        && chars.next().is_some_and(|c| "234567abcdefghij".contains(c))
        && chars.all(|c| "234567abcdefghijklmnopqrstuvwxyz".contains(c))
}

type Refusal = (&'static str, String);

fn invalid(path: &str, problem: &str) -> Refusal {
    (
        "InvalidRequest",
        format!(
            "Invalid {COLLECTION} record: {problem} at $.record.{}",
            path.replace('/', ".")
        ),
    )
}

fn check(state: &State, record: &Value) -> Result<(), Refusal> {
    let text = record["text"]
        .as_str()
        .ok_or_else(|| invalid("text", "must be a string"))?;
    if text.graphemes(true).count() > 300 {
        return Err(invalid("text", "grapheme too big (maximum 300)"));
    }
    if text.len() > 3000 {
        return Err(invalid("text", "string too big (maximum 3000)"));
    }
    let created = record["createdAt"].as_str().unwrap_or("");
    if so_model::Timestamp::parse(created).is_none() {
        return Err(invalid("createdAt", "must be an valid atproto datetime"));
    }
    check_facets(text, record)?;
    check_embed(state, &record["embed"])?;
    for side in ["root", "parent"] {
        if let Some(reply) = record.get("reply") {
            let (uri, hash) = (reply[side]["uri"].as_str(), reply[side]["cid"].as_str());
            if !uri.is_some_and(|uri| uri.starts_with("at://"))
                || !hash.is_some_and(|hash| hash.starts_with("bafy"))
            {
                return Err(invalid(&format!("reply/{side}/cid"), "must be a cid"));
            }
        }
    }
    Ok(())
}

fn check_facets(text: &str, record: &Value) -> Result<(), Refusal> {
    let mut last = 0;
    for facet in record["facets"].as_array().into_iter().flatten() {
        let at = |key: &str| {
            facet["index"][key]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
        };
        let (Some(start), Some(end)) = (at("byteStart"), at("byteEnd")) else {
            return Err(invalid(
                "facets/0/index",
                "must have the property \"byteStart\"",
            ));
        };
        // The real server does not look; a range within a character would be a mistake of ours.
        if start < last || end <= start || text.get(start..end).is_none() {
            return Err(invalid("facets/0/index", "is not a range of the text"));
        }
        last = end;
        let feature = &facet["features"][0];
        let fits = match feature["$type"].as_str() {
            Some("app.bsky.richtext.facet#link") => feature["uri"]
                .as_str()
                .is_some_and(|uri| uri.starts_with("http")),
            Some("app.bsky.richtext.facet#tag") => feature["tag"]
                .as_str()
                .is_some_and(|tag| !tag.starts_with('#')),
            Some("app.bsky.richtext.facet#mention") => feature["did"]
                .as_str()
                .is_some_and(|did| did.starts_with("did:")),
            _ => false,
        };
        if !fits {
            return Err(invalid("facets/0/features/0", "is invalid"));
        }
    }
    Ok(())
}

fn check_embed(state: &State, embed: &Value) -> Result<(), Refusal> {
    let images = embed["images"].as_array().map_or(&[][..], Vec::as_slice);
    if images.len() > 4 {
        return Err(invalid(
            "embed/images",
            "must not have more than 4 elements",
        ));
    }
    for image in images {
        if !image["alt"].is_string() {
            return Err(invalid("embed/images/0", "must have the property \"alt\""));
        }
        check_blob(state, &image["image"], 2_000_000)?;
    }
    if let Some(video) = embed.get("video") {
        check_blob(state, video, 300_000_000)?;
    }
    if let Some(external) = embed.get("external") {
        for key in ["uri", "title", "description"] {
            if !external[key].is_string() {
                return Err(invalid(
                    "embed/external",
                    &format!("must have the property \"{key}\""),
                ));
            }
        }
        if let Some(thumb) = external.get("thumb") {
            check_blob(state, thumb, 1_000_000)?;
        }
    }
    Ok(())
}

fn check_blob(state: &State, blob: &Value, max: usize) -> Result<(), Refusal> {
    let name = blob["ref"]["$link"].as_str().unwrap_or("");
    match state.blobs.get(name) {
        Some((mime, _)) if blob["mimeType"] != *mime => Err((
            "InvalidMimeType",
            "Referenced Mimetype does not match stored blob.".into(),
        )),
        Some((_, size)) if *size > max => Err((
            "BlobTooLarge",
            format!("This file is too large. It is {size} but the maximum size is {max}."),
        )),
        Some(_) => Ok(()),
        None => Err(("BlobNotFound", format!("Could not find blob: {name}"))),
    }
}

/// The latest first, a page at a time, as the reference server does by default.
pub(super) async fn list_records(
    With(double): With<Double>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Read, move || {
        let limit = query
            .get("limit")
            .and_then(|limit| limit.parse::<usize>().ok())
            .unwrap_or(50);
        let before = query.get("cursor");
        let state = locked(&double.state);
        let page: Vec<(&String, &Value)> = state
            .records
            .iter()
            .rev()
            .filter(|(rkey, _)| before.is_none_or(|before| *rkey < before))
            .take(limit)
            .collect();
        let records: Vec<Value> = page
            .iter()
            .map(|(rkey, record)| {
                json!({ "uri": format!("at://{DID}/{COLLECTION}/{rkey}"),
                        "cid": cid(record.to_string().as_bytes()), "value": record })
            })
            .collect();
        let mut body = json!({ "records": records });
        if let Some((last, _)) = page.last() {
            body["cursor"] = json!(last);
        }
        answer(200, body)
    })
    .await
}

pub(super) async fn get_record(
    With(double): With<Double>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Read, move || {
        let rkey = query.get("rkey").cloned().unwrap_or_default();
        let uri = format!("at://{DID}/{COLLECTION}/{rkey}");
        match locked(&double.state).records.get(&rkey) {
            Some(record) => answer(
                200,
                json!({ "uri": uri, "cid": cid(record.to_string().as_bytes()), "value": record }),
            ),
            None => error(
                400,
                "RecordNotFound",
                &format!("Could not locate record: {uri}"),
            ),
        }
    })
    .await
}

pub(super) async fn delete_record(
    With(double): With<Double>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let core = double.core.clone();
    serve(&core, &MANNER, Op::Delete, move || {
        let mut state = locked(&double.state);
        if let Err(refusal) = authorise(&state, &headers) {
            return *refusal;
        }
        if let Err(too_many) = limits::write(&mut state, limits::DELETE, double.core.now()) {
            return *too_many;
        }
        let rkey = body["rkey"].as_str().unwrap_or("").to_owned();
        if state.records.remove(&rkey).is_none() {
            return answer(200, json!({}));
        }
        double.core.log(Effect {
            what: "delete",
            remote_id: format!("at://{DID}/{COLLECTION}/{rkey}"),
            text: String::new(),
            media: 0,
            reply_to: None,
            body: Value::Null,
        });
        answer(200, json!({ "commit": { "cid": "bafyreic", "rev": rkey } }))
    })
    .await
}

pub(super) async fn get_posts(With(double): With<Double>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let state = locked(&double.state);
    let uris = so_net::Url::parse(&format!("http://x/?{query}"))
        .map(|url| {
            url.query_pairs()
                .filter(|(key, _)| key == "uris")
                .map(|(_, uri)| uri.into_owned())
                .collect()
        })
        .unwrap_or_else(|_| Vec::<String>::new());
    if uris.is_empty() || uris.len() > 25 {
        return error(
            400,
            "InvalidRequest",
            "Error: Params must have the property \"uris\"",
        );
    }
    let posts: Vec<Value> = uris
        .iter()
        .filter(|uri| uri.rsplit('/').next().is_some_and(|rkey| state.records.contains_key(rkey)))
        .map(|uri| json!({ "uri": uri, "likeCount": 2, "repostCount": 1, "replyCount": 0, "quoteCount": 0 }))
        .collect();
    answer(200, json!({ "posts": posts }))
}
