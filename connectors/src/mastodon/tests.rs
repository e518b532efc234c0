use serde_json::json;
use so_model::{
    content::{ContentType, LinkCard, MediaUse, Poll},
    id::MediaId,
};

use super::{
    double::{Flavour, MastodonDouble, TOKEN},
    *,
};
use crate::{
    ErrorClass,
    conformance::{Bench, Subject, files, fixture, form, live, photo},
    doubles::{Core, Fault, Op},
};

struct Bed {
    connector: Mastodon,
    double: MastodonDouble,
}

impl Bed {
    async fn start() -> Self {
        Self {
            connector: Mastodon::new(),
            double: MastodonDouble::start().await.unwrap(),
        }
    }

    async fn old() -> Self {
        Self {
            connector: Mastodon::new(),
            double: MastodonDouble::start_as(Flavour::Old).await.unwrap(),
        }
    }

    async fn begin(&self) -> (String, SecretValue) {
        let form = form(&[("instance", &self.double.url())]);
        let started = self
            .connector
            .begin_sign_in(&fixture::cx(), &form, "https://so.example/back", "state-1")
            .await;
        let SignInStart::Redirect { url, pending } = started.unwrap() else {
            panic!("expected a redirect")
        };
        (url, pending)
    }
}

#[async_trait]
impl Subject for Bed {
    fn connector(&self) -> &dyn Connector {
        &self.connector
    }
    fn url(&self) -> String {
        self.double.url()
    }
    fn core(&self) -> &Core {
        self.double.core()
    }
    async fn connect(&self) -> ConnectedAccount {
        let (url, pending) = self.begin().await;
        let back = self.double.allow(&url);
        assert_eq!(back["state"], "state-1");
        self.connector
            .finish_sign_in(&fixture::cx(), &pending, &back)
            .await
            .unwrap()
    }
    fn revoke(&self) {
        self.double.revoke_tokens();
    }
}

crate::conformance!(Bed::start());

#[tokio::test]
async fn limits_and_address_of_the_instance_are_kept_with_the_account() {
    let connected = Bed::start().await.connect().await;
    assert_eq!(connected.remote_id, "14715@m.example");
    assert_eq!(connected.handle, "@ann@m.example");
    assert_eq!(connected.settings["limits"]["text_max"], 600);
    assert_eq!(connected.settings["account_id"], "14715");
}

#[tokio::test]
async fn a_token_may_be_pasted() {
    let bed = Bed::start().await;
    let begin = async |token: &str| {
        let form = form(&[("instance", &bed.double.url()), ("token", token)]);
        bed.connector
            .begin_sign_in(&fixture::cx(), &form, "https://so.example/back", "s")
            .await
    };
    assert!(
        matches!(begin(TOKEN).await.unwrap(), SignInStart::Done(account) if account.name == "Ann")
    );
    assert_eq!(
        begin("wrong").await.unwrap_err().class,
        ErrorClass::Reconnect
    );
}

#[tokio::test]
async fn an_app_is_registered_once_and_again_when_the_instance_forgot_it() {
    let bed = Bed::start().await;
    let (first, _) = bed.begin().await;
    let (second, pending) = bed.begin().await;
    let client = |url: &str| {
        let url = so_net::Url::parse(url).unwrap();
        url.query_pairs()
            .find(|(key, _)| key == "client_id")
            .map(|(_, id)| id.into_owned())
            .unwrap()
    };
    assert_eq!(client(&first), client(&second));
    let back = bed.double.allow(&second);
    bed.double.forget_apps();
    let error = bed
        .connector
        .finish_sign_in(&fixture::cx(), &pending, &back)
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Config, "mastodon.invalid_client")
    );
    assert_ne!(client(&bed.begin().await.0), client(&first));
}

#[tokio::test]
async fn a_code_of_another_sign_in_is_useless() {
    let bed = Bed::start().await;
    let (url, _) = bed.begin().await;
    let mut other = fixture::cx();
    other.random = [8; 32];
    let form = form(&[("instance", &bed.double.url())]);
    let started = bed
        .connector
        .begin_sign_in(&other, &form, "https://so.example/back", "s2")
        .await
        .unwrap();
    let SignInStart::Redirect { pending, .. } = started else {
        panic!("expected a redirect")
    };
    let back = bed.double.allow(&url);
    assert_eq!(
        bed.connector
            .finish_sign_in(&other, &pending, &back)
            .await
            .unwrap_err()
            .class,
        ErrorClass::Reconnect
    );
}

#[tokio::test]
async fn declining_is_told_as_such() {
    let bed = Bed::start().await;
    let (_, pending) = bed.begin().await;
    let back = BTreeMap::from([("error".to_owned(), "access_denied".to_owned())]);
    let error = bed
        .connector
        .finish_sign_in(&fixture::cx(), &pending, &back)
        .await
        .unwrap_err();
    assert_eq!(error.code, "mastodon.sign_in_declined");
}

#[tokio::test]
async fn what_is_no_instance_is_named_as_the_wrong_field() {
    let bed = Bed::start().await;
    let url = format!("{}/nowhere", bed.double.url());
    for instance in ["", "nohost", "https://"] {
        let form = form(&[("instance", instance)]);
        let error = bed
            .connector
            .begin_sign_in(&fixture::cx(), &form, "https://so.example/b", "s")
            .await
            .unwrap_err();
        assert_eq!(error.field.as_deref(), Some("/instance"), "{instance}");
    }
    // A path is no part of an instance, so this is the double itself.
    let form = form(&[("instance", &url)]);
    assert!(
        bed.connector
            .begin_sign_in(&fixture::cx(), &form, "https://so.example/b", "s")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_older_server_is_asked_in_its_own_way() {
    let bed = Bed::old().await;
    let bench = Bench::open(&bed).await;
    let post = bench.publish(1, photo("old", "square"), None).await;
    assert_eq!(bed.core().published()[0].remote_id, post.remote_id);
    assert_eq!(bed.connect().await.settings["limits"]["text_max"], 600);
}

#[tokio::test]
async fn everything_a_status_can_say_is_sent() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    let content = Content {
        kind: ContentType::Poll,
        poll: Some(Poll {
            options: vec!["a".into(), "b".into()],
            expires_in_s: 600,
            multiple: true,
            hide_totals: false,
        }),
        content_warning: Some("politics".into()),
        language: Some("de-AT".into()),
        visibility: Some("followers".into()),
        ..Content::status("What?")
    };
    let parent = bench.publish(1, content, None).await;
    let body = &bed.core().published()[0].body;
    assert_eq!(body["poll"]["options"], json!(["a", "b"]));
    assert_eq!(body["poll"]["expires_in"], 600);
    assert_eq!(
        (
            &body["spoiler_text"],
            &body["language"],
            &body["visibility"]
        ),
        (&json!("politics"), &json!("de"), &json!("private"))
    );
    // What follows in the thread is not seen by more people than what it answers to.
    bench
        .publish(2, Content::status("More"), Some(parent))
        .await;
    assert_eq!(bed.core().published()[1].body["visibility"], "private");
}

#[tokio::test]
async fn a_link_that_the_text_does_not_name_is_added() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    let link = LinkCard {
        url: "https://a.example/1".into(),
        ..LinkCard::default()
    };
    let content = Content {
        kind: ContentType::Link,
        link: Some(link),
        ..Content::status("Look")
    };
    let part = bench.prepared(1, content, None).await;
    live(part.commit().await);
    assert_eq!(
        bed.core().published()[0].text,
        "Look\n\nhttps://a.example/1"
    );
    assert!(matches!(part.find(&[]).await, Found::One { .. }));
}

#[tokio::test]
async fn uploads_that_take_their_time_are_waited_for() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    bed.double.process_for(3);
    bench.publish(1, photo("slow", "square"), None).await;
    assert_eq!(bed.core().published()[0].media, 1);
}

#[tokio::test]
async fn an_upload_that_cannot_be_processed_is_a_problem_of_the_content() {
    let bed = Bed::start().await;
    let connected = bed.connect().await;
    bed.double.process_for(3);
    bed.double.fail_processing();
    let mut account = fixture::account(KEY, &connected.remote_id);
    account.settings = connected.settings;
    let (cx, publication, content) = (
        fixture::cx(),
        fixture::publication(&account, 1),
        photo("bad", "square"),
    );
    let files = files(&content);
    let part = PublishCx {
        media: &files,
        ..fixture::part(&cx, &account, &connected.token, &content, &publication)
    };
    let Prepared::Again {
        progress,
        after_micros,
    } = bed.connector.prepare(&part, Value::Null).await.unwrap()
    else {
        panic!("the upload is being processed");
    };
    assert_eq!(progress["media"][0]["is_ready"], false);
    assert!(after_micros >= 0);
    let error = bed.connector.prepare(&part, progress).await.unwrap_err();
    assert_eq!(
        (error.class, error.field.as_deref()),
        (ErrorClass::Content, Some("/media"))
    );
}

#[tokio::test]
async fn uploads_that_may_have_been_purged_are_made_anew() {
    let bed = Bed::start().await;
    let connected = bed.connect().await;
    let mut account = fixture::account(KEY, &connected.remote_id);
    account.settings = connected.settings;
    let (mut cx, publication, content) = (
        fixture::cx(),
        fixture::publication(&account, 1),
        photo("old", "square"),
    );
    let files = files(&content);
    let prepare = async |cx: &Cx, progress: Value| {
        let part = PublishCx {
            media: &files,
            ..fixture::part(cx, &account, &connected.token, &content, &publication)
        };
        bed.connector.prepare(&part, progress).await.unwrap()
    };
    let Prepared::Ready { progress } = prepare(&cx, Value::Null).await else {
        panic!("one upload is enough")
    };
    assert_eq!(
        prepare(&cx, progress.clone()).await,
        Prepared::Ready {
            progress: progress.clone()
        }
    );
    cx.now = cx.now.plus(13 * so_model::time::HOUR);
    let Prepared::Ready { progress: anew } = prepare(&cx, progress.clone()).await else {
        panic!("one upload is enough")
    };
    assert_ne!(anew["media"][0]["id"], progress["media"][0]["id"]);
}

#[tokio::test]
async fn two_posts_that_fit_are_left_to_a_person() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    bed.double.forget_keys();
    let part = bench.prepared(1, Content::status("double"), None).await;
    live(part.commit().await);
    live(part.commit().await);
    assert!(matches!(part.find(&[]).await, Found::Several { remote_ids } if remote_ids.len() == 2));
}

#[tokio::test]
async fn a_server_whose_clock_is_behind_does_not_hide_a_post() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    bed.double.run_behind(10 * so_model::time::MINUTE);
    let part = bench
        .prepared(1, Content::status("dated early"), None)
        .await;
    bed.core().fail_next(Op::Publish, Fault::TakenThenCut);
    part.commit().await;
    assert!(matches!(part.find(&[]).await, Found::One { .. }));
}

#[tokio::test]
async fn a_post_that_stays_is_not_called_deleted() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    let post = bench.publish(1, Content::status("stays"), None).await;
    bed.double.refuse_deletion();
    let error = bed
        .connector
        .delete(&bench.cx, &bench.account, &bench.token, &post.remote_id)
        .await
        .unwrap_err();
    assert_eq!(error.code, "mastodon.cannot_delete");
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    let part = bench.prepared(1, Content::status("the first"), None).await;
    live(part.commit().await);
    for n in 2..90 {
        bench
            .publish(n, Content::status(format!("number {n}")), None)
            .await;
    }
    assert!(matches!(part.find(&[]).await, Found::One { .. }));
}

#[tokio::test]
async fn a_missing_scope_asks_to_reconnect() {
    let bed = Bed::start().await;
    let form = form(&[("instance", &bed.double.url()), ("token", TOKEN)]);
    let started = bed
        .connector
        .begin_sign_in(&fixture::cx(), &form, "https://so.example/back", "s")
        .await
        .unwrap();
    let SignInStart::Done(connected) = started else {
        panic!("a pasted token connects at once")
    };
    bed.double.narrow_token("read:accounts read:statuses");
    let mut account = fixture::account(KEY, &connected.remote_id);
    account.settings = connected.settings;
    let (cx, publication, content) = (
        fixture::cx(),
        fixture::publication(&account, 1),
        Content::status("hello"),
    );
    let part = fixture::part(&cx, &account, &connected.token, &content, &publication);
    let attempt = fixture::attempt(&publication, bed.connector.fingerprint(&content, None));
    let outcome = bed.connector.commit(&part, &Value::Null, &attempt).await;
    assert!(
        matches!(outcome, CommitOutcome::Reconnect(error) if error.code == "mastodon.scope_missing")
    );
}

#[tokio::test]
async fn an_upload_that_fails_can_be_tried_again() {
    let bed = Bed::start().await;
    let bench = Bench::open(&bed).await;
    for fault in [
        Fault::Status(503),
        Fault::Cut,
        Fault::RateLimited { seconds: 5 },
    ] {
        bed.core().fail_next(Op::Upload, fault);
        let connected = bed.connect().await;
        let mut account = fixture::account(KEY, &connected.remote_id);
        account.settings = connected.settings;
        let (cx, publication, content) = (
            fixture::cx(),
            fixture::publication(&account, 9),
            photo("again", "square"),
        );
        let files = files(&content);
        let part = PublishCx {
            media: &files,
            ..fixture::part(&cx, &account, &connected.token, &content, &publication)
        };
        let error = bed.connector.prepare(&part, Value::Null).await.unwrap_err();
        assert!(
            matches!(error.class, ErrorClass::Transient | ErrorClass::RateLimited),
            "{fault:?}"
        );
    }
    bench.publish(1, photo("again", "square"), None).await;
}

#[test]
fn what_only_mastodon_refuses_is_found_before() {
    let connector = Mastodon::new();
    let media = |n: u8, mime: &str| {
        let id = MediaId::from_parts(fixture::NOW, [n; 10]);
        let facts = MediaFacts {
            id,
            mime: mime.into(),
            bytes: 10,
            width: None,
            height: None,
            alt: String::new(),
        };
        (
            MediaUse {
                id,
                alt: String::new(),
            },
            facts,
        )
    };
    let pointers = |content: &Content, facts: &[MediaFacts]| -> Vec<String> {
        connector
            .problems(connector.manifest(), content, facts)
            .into_iter()
            .map(|problem| problem.pointer)
            .collect()
    };
    let ((png, png_facts), (gif, gif_facts)) = (media(1, "image/png"), media(2, "image/gif"));
    let mixed = Content {
        kind: ContentType::Photo,
        media: vec![png, gif],
        ..Content::status("a")
    };
    assert_eq!(pointers(&mixed, &[png_facts, gif_facts]), ["/media"]);
    let warned = Content {
        content_warning: Some("w".repeat(10)),
        ..Content::status("a".repeat(495))
    };
    assert_eq!(pointers(&warned, &[]), ["/text"]);
    let odd = Content {
        visibility: Some("everyone".into()),
        ..Content::status("a")
    };
    assert_eq!(pointers(&odd, &[]), ["/visibility"]);
    let link = LinkCard {
        url: "https://a.example/1".into(),
        ..LinkCard::default()
    };
    let linked = Content {
        kind: ContentType::Link,
        link: Some(link),
        ..Content::status("a".repeat(490))
    };
    assert_eq!(pointers(&linked, &[]), ["/text"]);
}

#[test]
fn a_limit_of_the_instance_reaches_the_manifest() {
    let mut account = fixture::account(KEY, "1@m.example");
    account.settings = json!({ "limits": { "text_max": 5000, "poll_options": 20 } });
    let manifest = Mastodon::new().manifest_for(&account);
    assert_eq!(manifest.rule(ContentType::Status).unwrap().text.max, 5000);
    assert_eq!(
        manifest
            .rule(ContentType::Poll)
            .unwrap()
            .poll
            .unwrap()
            .options
            .max,
        20
    );
}
