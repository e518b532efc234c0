use serde_json::json;
use so_model::{
    content::{ContentType, LinkCard},
    id::MediaId,
    time::{HOUR, MINUTE},
};

use super::{
    double::{BlueskyDouble, DID, HANDLE, PASSWORD},
    *,
};
use crate::{
    ErrorClass,
    conformance::{Bench, Subject, files, fixture, form, live, photo},
    doubles::{Core, Fault, Op},
};

struct Bed {
    connector: Bluesky,
    double: BlueskyDouble,
}

impl Bed {
    async fn start() -> Self {
        Self {
            connector: Bluesky::new(),
            double: BlueskyDouble::start().await.unwrap(),
        }
    }

    async fn account(&self) -> (Account, SecretValue) {
        let connected = self.connect().await;
        let mut account = fixture::account(KEY, &connected.remote_id);
        account.settings = connected.settings;
        (account, connected.token)
    }
}

#[async_trait]
impl Subject for Bed {
    fn connector(&self) -> &dyn Connector {
        &self.connector
    }
    fn cx(&self) -> Cx {
        let mut cx = fixture::cx();
        for name in ["bluesky", "bluesky.appview"] {
            cx.config.base_urls.insert(name.into(), self.double.url());
        }
        cx
    }
    fn url(&self) -> String {
        self.double.url()
    }
    fn core(&self) -> &Core {
        self.double.core()
    }
    async fn connect(&self) -> ConnectedAccount {
        let form = form(&[("identifier", HANDLE), ("password", PASSWORD)]);
        match self
            .connector
            .begin_sign_in(&self.cx(), &form, "", "")
            .await
            .unwrap()
        {
            SignInStart::Done(account) => *account,
            SignInStart::Redirect { .. } => panic!("an app password connects at once"),
        }
    }
    fn revoke(&self) {
        self.double.revoke_sessions();
    }
}

crate::conformance!(Bed::start());

/// Prepares until ready or until it fails.
async fn prepare(
    bed: &Bed,
    part: &PublishCx<'_>,
    mut progress: Value,
) -> Result<Value, ConnectorError> {
    loop {
        match bed.connector.prepare(part, progress).await? {
            Prepared::Again { progress: next, .. } => progress = next,
            Prepared::Ready { progress } => return Ok(progress),
        }
    }
}

#[tokio::test]
async fn a_session_is_kept_and_the_password_is_not() {
    let connected = Bed::start().await.connect().await;
    assert_eq!(
        (connected.remote_id.as_str(), connected.name.as_str()),
        (DID, "Ann")
    );
    assert_eq!(connected.handle, format!("@{HANDLE}"));
    assert_eq!(
        connected.token_expires_at,
        Some(fixture::NOW.plus(2 * HOUR))
    );
    assert!(!connected.token.expose().to_string().contains(PASSWORD));
    assert!(!connected.settings.to_string().contains(PASSWORD));
}

#[tokio::test]
async fn wrong_words_are_told_from_wrong_passwords() {
    let bed = Bed::start().await;
    let begin = async |identifier: &str, password: &str| {
        let form = form(&[("identifier", identifier), ("password", password)]);
        bed.connector
            .begin_sign_in(&bed.cx(), &form, "", "")
            .await
            .unwrap_err()
    };
    assert_eq!(
        begin(HANDLE, "main-password").await.field.as_deref(),
        Some("/password")
    );
    assert_eq!(
        begin("", PASSWORD).await.field.as_deref(),
        Some("/identifier")
    );
    assert_eq!(
        begin(HANDLE, "wron-gpas-swor-dddd").await.code,
        "bluesky.wrong_password"
    );
}

#[tokio::test]
async fn name_and_moment_are_fixed_by_the_first_sub_step() {
    let bed = Bed::start().await;
    let (account, token) = bed.account().await;
    let (mut cx, publication, content) = (
        bed.cx(),
        fixture::publication(&account, 1),
        Content::status("hello"),
    );
    let part = fixture::part(&cx, &account, &token, &content, &publication);
    let Prepared::Again { progress, .. } = bed.connector.prepare(&part, Value::Null).await.unwrap()
    else {
        panic!("the name is stored before anything else");
    };
    let (rkey, created_at) = (progress["rkey"].clone(), progress["created_at"].clone());
    assert_eq!(created_at, "2026-11-25T09:00:00.000Z");
    cx.now = cx.now.plus(3 * HOUR);
    let part = fixture::part(&cx, &account, &token, &content, &publication);
    let ready = prepare(&bed, &part, progress).await.unwrap();
    assert_eq!(
        (&ready["rkey"], &ready["record"]["createdAt"]),
        (&rkey, &created_at)
    );
}

#[tokio::test]
async fn text_is_marked_up_and_unknown_handles_stay_text() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    let text = format!("👋 @{HANDLE} and @nobody.example.org: https://a.example/ä #Grüße");
    bench
        .publish(
            1,
            Content {
                language: Some("de".into()),
                ..Content::status(text)
            },
            None,
        )
        .await;
    let record = &bed.core().published()[0].body;
    let features: Vec<&Value> = record["facets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|facet| &facet["features"][0])
        .collect();
    assert_eq!(features.len(), 3);
    assert_eq!(
        (
            &features[0]["did"],
            &features[1]["uri"],
            &features[2]["tag"]
        ),
        (&json!(DID), &json!("https://a.example/ä"), &json!("Grüße"))
    );
    assert_eq!(record["langs"], json!(["de"]));
}

#[tokio::test]
async fn pictures_carry_description_and_ratio() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    bench.publish(1, photo("", "A square"), None).await;
    let image = &bed.core().published()[0].body["embed"]["images"][0];
    assert_eq!(
        (&image["alt"], &image["aspectRatio"]),
        (&json!("A square"), &json!({ "width": 1, "height": 1 }))
    );
    assert_eq!(image["image"]["mimeType"], "image/png");
}

#[tokio::test]
async fn a_link_becomes_a_card_with_its_picture() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    let link = LinkCard {
        url: "https://a.example/1".into(),
        title: None,
        description: Some("About it".into()),
        image: Some(MediaId::derived(&["thumb"])),
    };
    bench
        .publish(
            1,
            Content {
                kind: ContentType::Link,
                link: Some(link.clone()),
                ..Content::status("Look")
            },
            None,
        )
        .await;
    let external = &bed.core().published()[0].body["embed"]["external"];
    assert_eq!(
        (&external["uri"], &external["title"]),
        (&json!("https://a.example/1"), &json!("a.example"))
    );
    assert_eq!(external["thumb"]["mimeType"], "image/png");
    // Beside files there is no room for a card.
    bench
        .publish(
            2,
            Content {
                link: Some(link),
                ..photo("Look", "square")
            },
            None,
        )
        .await;
    assert_eq!(
        bed.core().published()[1].text,
        "Look\n\nhttps://a.example/1"
    );
}

#[tokio::test]
async fn answers_name_the_first_post_and_the_one_before() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    let first = bench.publish(1, Content::status("One"), None).await;
    // A person declared this post to be live, so its hash is not known.
    let bare = ParentRef {
        extra: Value::Null,
        ..first.clone()
    };
    bench.publish(2, Content::status("Two"), Some(bare)).await;
    let reply = &bed.core().published()[1].body["reply"];
    assert_eq!(
        (&reply["root"], &reply["parent"]),
        (
            &reply["parent"],
            &json!({ "uri": first.remote_id, "cid": first.extra["cid"] })
        )
    );
}

#[tokio::test]
async fn an_expired_session_is_renewed_before_the_post_is_sent_again() {
    let bed = Bed::start().await;
    let (account, token) = bed.account().await;
    let (cx, publication, content) = (
        bed.cx(),
        fixture::publication(&account, 1),
        Content::status("hello"),
    );
    let part = fixture::part(&cx, &account, &token, &content, &publication);
    let ready = prepare(&bed, &part, Value::Null).await.unwrap();
    let attempt = fixture::attempt(&publication, bed.connector.fingerprint(&content, None));
    bed.double.expire_access();
    let outcome = bed.connector.commit(&part, &ready, &attempt).await;
    assert!(
        matches!(outcome, CommitOutcome::NotTaken { error, .. } if error.class == ErrorClass::Expired)
    );
    let Refresh::Rotated {
        token: renewed,
        expires_at,
    } = bed.connector.refresh(&cx, &account, &token).await.unwrap()
    else {
        panic!("a session is renewed by a new one");
    };
    assert_eq!(expires_at, Some(fixture::NOW.plus(2 * HOUR)));
    let part = fixture::part(&cx, &account, &renewed, &content, &publication);
    live(bed.connector.commit(&part, &ready, &attempt).await);
    assert_eq!(bed.core().published().len(), 1);
    // The old session is used up.
    assert_eq!(
        bed.connector
            .refresh(&cx, &account, &token)
            .await
            .unwrap_err()
            .class,
        ErrorClass::Reconnect
    );
}

#[tokio::test]
async fn uploads_that_are_gone_come_back_under_the_same_name() {
    let bed = Bed::start().await;
    let (account, token) = bed.account().await;
    let (mut cx, mut publication, content) = (
        bed.cx(),
        fixture::publication(&account, 1),
        photo("hello", "square"),
    );
    let files = files(&content);
    let part = PublishCx {
        media: &files,
        ..fixture::part(&cx, &account, &token, &content, &publication)
    };
    let ready = prepare(&bed, &part, Value::Null).await.unwrap();
    let attempt = fixture::attempt(&publication, bed.connector.fingerprint(&content, None));
    bed.double.drop_uploads();
    let outcome = bed.connector.commit(&part, &ready, &attempt).await;
    assert!(
        matches!(outcome, CommitOutcome::NotTaken { error, .. } if error.code == "bluesky.upload_gone")
    );
    publication.attempts = 1;
    cx.now = cx.now.plus(2 * MINUTE);
    let part = PublishCx {
        media: &files,
        ..fixture::part(&cx, &account, &token, &content, &publication)
    };
    let again = prepare(&bed, &part, ready.clone()).await.unwrap();
    assert_eq!(again["record"], ready["record"]);
    let late = bed.connector.commit(&part, &again, &attempt).await;
    assert!(
        matches!(late, CommitOutcome::NotTaken { error, .. } if error.code == "bluesky.deadline_passed")
    );
    let attempt = Attempt {
        deadline_at: cx.now.plus(MINUTE),
        ..attempt
    };
    live(bed.connector.commit(&part, &again, &attempt).await);
    assert_eq!(bed.core().published().len(), 1);
}

#[tokio::test]
async fn a_post_is_found_even_after_the_session_has_ended() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    let part = bench.prepared(1, Content::status("hello"), None).await;
    bed.core().fail_next(Op::Publish, Fault::TakenThenCut);
    part.commit().await;
    bed.revoke();
    assert!(matches!(part.find(&[]).await, Found::One { .. }));
}

#[tokio::test]
async fn deleting_what_is_no_post_is_refused() {
    let bed = Bed::start().await;
    let (account, token) = bed.account().await;
    for id in [
        "",
        "3kabc",
        "at://did:plc:x/app.bsky.feed.like/3k",
        "https://bsky.app/x",
    ] {
        assert!(
            bed.connector
                .delete(&bed.cx(), &account, &token, id)
                .await
                .is_err(),
            "{id}"
        );
    }
}

#[test]
fn what_only_bluesky_refuses_is_found_before() {
    let connector = Bluesky::new();
    let pointers = |content: &Content| -> Vec<String> {
        connector
            .problems(connector.manifest(), content, &[])
            .into_iter()
            .map(|problem| problem.pointer)
            .collect()
    };
    assert_eq!(
        pointers(&Content {
            visibility: Some("followers".into()),
            ..Content::status("a")
        }),
        ["/visibility"]
    );
    assert_eq!(
        pointers(&Content {
            content_warning: Some("w".into()),
            ..Content::status("a")
        }),
        ["/content_warning"]
    );
    assert_eq!(pointers(&Content::status("日".repeat(301))), ["/text"]);
    assert_eq!(pointers(&Content::status("👨‍👩‍👧‍👦".repeat(150))), ["/text"]);
    let mut labelled = Content::status("a");
    labelled
        .options
        .insert("labels".into(), json!(["nudity", "odd"]));
    assert_eq!(pointers(&labelled), ["/options/labels/1"]);
}

#[tokio::test]
async fn a_post_whose_name_was_lost_is_found_by_what_it_says() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    let told = bench
        .prepared(1, Content::status("hello"), None)
        .await
        .commit()
        .await;
    let CommitOutcome::Published { remote_id, .. } = told else {
        panic!("{told:?}");
    };
    let (account, token) = bed.account().await;
    let (cx, publication) = (bed.cx(), fixture::publication(&account, 2));
    let find = |text: &str, bound: Vec<String>| {
        let content = Content::status(text);
        let attempt = fixture::attempt(&publication, bed.connector.fingerprint(&content, None));
        let (bed, cx, account, token, publication) = (&bed, &cx, &account, &token, &publication);
        async move {
            let part = fixture::part(cx, account, token, &content, publication);
            bed.connector
                .find_published(&part, &Value::Null, &attempt, &bound)
                .await
        }
    };
    assert!(
        matches!(find("hello", vec![]).await, Found::One { remote_id: id, .. } if id == remote_id)
    );
    for (text, bound) in [("hello", vec![remote_id]), ("goodbye", vec![])] {
        let found = find(text, bound).await;
        assert!(
            matches!(found, Found::Absent { complete: true }),
            "{found:?}"
        );
    }
}
