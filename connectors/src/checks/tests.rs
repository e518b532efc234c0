use serde_json::json;
use so_model::{
    Timestamp,
    content::{ContentType, LinkCard, ThreadPart},
    id::MediaId,
    network::{CountRange, Reconciliation, SignInForm},
};

use super::*;

fn manifest() -> Manifest {
    let rule = |kind, media| ContentRule {
        kind,
        text: TextRule {
            unit: TextUnit::Graphemes,
            max: 10,
            bytes_max: Some(20),
            url_length: None,
            short_mentions: false,
        },
        text_required: false,
        media,
        mime_types: vec!["image/png".into()],
        image_bytes_max: Some(100),
        video_bytes_max: None,
        alt_max: Some(5),
        title: None,
        poll: None,
    };
    let poll = PollRule {
        options: CountRange { min: 2, max: 4 },
        option_length_max: 5,
        expires_min_s: 300,
        expires_max_s: 600,
    };
    Manifest {
        key: "test".into(),
        name: "Test".into(),
        sign_in: SignInForm::Instant { fields: vec![] },
        destinations: None,
        content: vec![
            rule(ContentType::Status, CountRange::default()),
            rule(ContentType::Photo, CountRange { min: 1, max: 2 }),
            ContentRule {
                poll: Some(poll),
                ..rule(ContentType::Poll, CountRange::default())
            },
        ],
        threads: true,
        first_comment: false,
        reconciliation: Reconciliation::Listing,
        settle_s: 1,
        can_delete: true,
        metrics: vec![],
        budgets: vec![],
        options_schema: json!({"type": "object", "required": ["board"],
            "properties": {"board": {"type": "string"}, "tone": {"type": "string", "enum": ["soft", "loud"]}}}),
    }
}

fn with_board(mut content: Content) -> Content {
    content.options.insert("board".into(), json!("b1"));
    content
}

fn pointers(content: &Content, media: &[MediaFacts]) -> Vec<String> {
    problems(&manifest(), content, media)
        .into_iter()
        .map(|error| error.pointer)
        .collect()
}

fn file(n: u8, mime: &str, bytes: u64) -> (MediaUse, MediaFacts) {
    let id = MediaId::from_parts(Timestamp::from_micros(0), [n; 10]);
    let facts = MediaFacts {
        id,
        mime: mime.into(),
        bytes,
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
}

#[test]
fn a_text_of_the_right_size_passes() {
    assert_eq!(
        pointers(&with_board(Content::status("0123456789")), &[]),
        [] as [&str; 0]
    );
}

#[test]
fn text_is_counted_in_units_and_in_bytes() {
    assert_eq!(
        pointers(&with_board(Content::status("01234567890")), &[]),
        ["/text"]
    );
    assert_eq!(
        pointers(&with_board(Content::status("日日日日日日日")), &[]),
        ["/text"]
    );
    assert_eq!(pointers(&with_board(Content::status(" ")), &[]), ["/text"]);
}

#[test]
fn a_type_the_network_does_not_take_is_named() {
    let story = Content {
        kind: ContentType::Story,
        ..Content::status("a")
    };
    let found = problems(&manifest(), &story, &[]);
    assert_eq!(found[0].pointer, "/kind");
    assert_eq!(found[0].expected, "one of status, photo, poll");
}

#[test]
fn files_are_checked_for_number_type_size_and_description() {
    let (mut gif, gif_facts) = file(1, "image/gif", 10);
    gif.alt = "too long".into();
    let (big, big_facts) = file(2, "image/png", 101);
    let (lost, _) = file(3, "image/png", 1);
    let content = with_board(Content {
        kind: ContentType::Photo,
        media: vec![gif, big, lost],
        ..Content::default()
    });
    assert_eq!(
        pointers(&content, &[gif_facts, big_facts]),
        [
            "/media",
            "/media/0/alt",
            "/media/0",
            "/media/1",
            "/media/2/id"
        ]
    );
}

#[test]
fn every_part_of_a_thread_is_checked() {
    let part = |text: &str| ThreadPart {
        text: text.into(),
        media: vec![],
    };
    let thread = vec![part("fine"), part("much too long"), part("")];
    assert_eq!(
        pointers(
            &with_board(Content {
                thread,
                ..Content::status("a")
            }),
            &[]
        ),
        ["/thread/1/text", "/thread/2/text"]
    );
}

#[test]
fn polls_are_checked_and_only_taken_where_there_are_polls() {
    let poll = Poll {
        options: vec!["a".into(), "a".into(), "far too long".into()],
        expires_in_s: 1,
        multiple: false,
        hide_totals: false,
    };
    let content = Content {
        kind: ContentType::Poll,
        poll: Some(poll.clone()),
        ..Content::status("q?")
    };
    assert_eq!(
        pointers(&with_board(content), &[]),
        ["/poll/options/1", "/poll/options/2", "/poll/expires_in_s"]
    );
    let misplaced = Content {
        poll: Some(poll),
        ..Content::status("q?")
    };
    assert_eq!(pointers(&with_board(misplaced), &[]), ["/poll"]);
}

#[test]
fn a_poll_of_too_many_options_is_told_in_few_words() {
    let poll = Poll {
        options: (0..200_000).map(|n| n.to_string()).collect(),
        expires_in_s: 1,
        multiple: false,
        hide_totals: false,
    };
    let content = Content {
        kind: ContentType::Poll,
        poll: Some(poll),
        ..Content::status("q?")
    };
    assert_eq!(
        pointers(&with_board(content), &[]),
        ["/poll/options", "/poll/expires_in_s"]
    );
}

#[test]
fn options_follow_the_schema() {
    let mut content = Content::status("a");
    content.options.insert("tone".into(), json!("shrill"));
    content.options.insert("colour".into(), json!("red"));
    assert_eq!(
        pointers(&content, &[]),
        ["/options/tone", "/options/colour", "/options/board"]
    );
    content.options.insert("board".into(), json!(7));
    assert!(pointers(&content, &[]).contains(&"/options/board".to_owned()));
}

#[test]
fn a_link_alone_is_enough_but_a_first_comment_must_be_possible() {
    let link = LinkCard {
        url: "https://a.example".into(),
        ..LinkCard::default()
    };
    let content = Content {
        link: Some(link),
        first_comment: Some("hi".into()),
        ..Content::default()
    };
    assert_eq!(pointers(&with_board(content), &[]), ["/first_comment"]);
}
