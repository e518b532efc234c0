//! Whole documents of every kind, and whole polls. Owns no parsing; must not reach beyond loopback.
//! Invariant: the fixtures are our own and small enough to be read by eye.

use std::collections::BTreeMap;

use super::*;

const RSS20: &[u8] = include_bytes!("fixtures/rss20.xml");

fn read(bytes: &[u8]) -> ParsedFeed {
    parse_feed(bytes, None, "https://harbour.example/feeds/main").unwrap()
}

fn micros(date: &str) -> Option<i64> {
    Some(parse_date(date).unwrap())
}

#[test]
fn rss_2_is_read_whole() {
    let feed = read(RSS20);
    assert_eq!(
        (feed.title.as_str(), feed.site_url.as_deref()),
        ("Harbour News", Some("https://harbour.example/"))
    );
    let item = &feed.items[0];
    assert_eq!(item.key, "guid:harbour-2");
    assert_eq!(item.title, "Lighthouse reopens & glows");
    assert_eq!(
        item.link.as_deref(),
        Some("https://harbour.example/posts/lighthouse")
    );
    assert_eq!(item.summary, "The lamp is back.");
    assert_eq!(
        item.content_html.as_deref(),
        Some("<p>The lamp is <b>back</b>, after ten years.</p>")
    );
    assert_eq!(item.author.as_deref(), Some("Mara Quay"));
    assert_eq!(item.published_at, micros("2026-02-03T09:00:00Z"));
    assert_eq!(item.categories, ["Buildings", "Light"]);
    assert_eq!(
        item.image_url.as_deref(),
        Some("https://harbour.example/lamp.jpg")
    );
    assert_eq!(
        (
            item.enclosures[0].mime.as_deref(),
            item.enclosures[0].length
        ),
        (Some("image/jpeg"), Some(1234))
    );
    assert_eq!(item.language.as_deref(), Some("en-gb"));
    assert_eq!(feed.items[1].title, "Caf\u{e9} on the pier");
    assert_eq!(feed.items[1].published_at, micros("2026-02-02T08:00:00Z"));
}

#[test]
fn old_versions_of_rss_are_read() {
    let feed = read(include_bytes!("fixtures/rss091.xml"));
    assert_eq!(
        (feed.items[0].key.as_str(), feed.items[0].summary.as_str()),
        ("link:https://bell.example/1", "Loud \u{e9}cho")
    );
    let feed = read(include_bytes!("fixtures/rss090.rdf"));
    assert_eq!((feed.title.as_str(), feed.items.len()), ("Stone Age", 2));
    assert_eq!(feed.items[1].key, "link:https://stone.example/wheel");
    let feed = read(include_bytes!("fixtures/rss10.rdf"));
    assert_eq!(feed.items[0].published_at, micros("2026-02-01T03:00:00Z"));
    assert_eq!(feed.items[0].author.as_deref(), Some("K. Sato"));
    for version in ["0.92", "0.93", "0.94", "2.0.1", "2", "1.0", "weird"] {
        let text = String::from_utf8_lossy(RSS20)
            .replace("version=\"2.0\"", &format!("version=\"{version}\""));
        assert_eq!(read(text.as_bytes()), read(RSS20), "{version}");
    }
}

#[test]
fn a_bare_and_broken_rss_is_mended() {
    let feed = read(include_bytes!("fixtures/rss_bare.xml"));
    assert_eq!(feed.items.len(), 2, "the same item twice is one");
    assert!(feed.items[0].key.starts_with("hash:"));
    assert_eq!(feed.items[0].summary, "R&D at AT&T \u{2014} 5 < 6");
    assert_eq!(feed.items[1].title, "");
    assert_eq!(feed.items[1].published_at, micros("2026-02-03T15:00:00Z"));
}

#[test]
fn atom_is_read_whole() {
    let feed = read(include_bytes!("fixtures/atom10.xml"));
    assert_eq!(
        feed.site_url.as_deref(),
        Some("https://garten.example/blog/")
    );
    let item = &feed.items[0];
    assert_eq!(item.key, "guid:tag:garten.example,2026:1");
    assert_eq!(item.title, "Rosen & Dornen");
    assert_eq!(
        item.link.as_deref(),
        Some("https://garten.example/blog/rosen")
    );
    assert_eq!(item.summary, "Rot und stachlig");
    assert_eq!(item.author.as_deref(), Some("Ida Beet"));
    assert_eq!(item.published_at, micros("2026-02-02T07:30:00Z"));
    assert_eq!(item.updated_at, micros("2026-02-03T07:30:00Z"));
    assert_eq!(
        item.enclosures[0].url,
        "https://garten.example/blog/rosen.mp3"
    );
    assert_eq!(item.categories, ["Pflanzen"]);
    let feed = read(include_bytes!("fixtures/atom03.xml"));
    assert_eq!(feed.items[0].published_at, micros("2026-02-01"));
    assert_eq!(feed.items[0].updated_at, micros("2026-02-02"));
}

#[test]
fn json_feed_is_read_with_its_slips() {
    let bytes = include_bytes!("fixtures/feed11.json");
    let feed = read(bytes);
    assert_eq!((feed.title.as_str(), feed.items.len()), ("Kite Log", 2));
    let item = &feed.items[0];
    assert_eq!(
        (item.key.as_str(), item.summary.as_str()),
        ("guid:7", "Up & away")
    );
    assert_eq!(
        (item.author.as_deref(), item.enclosures[0].length),
        (Some("Jo Wind"), Some(10))
    );
    assert_eq!(
        item.image_url.as_deref(),
        Some("https://harbour.example/k.jpg")
    );
    let second = &feed.items[1];
    assert_eq!(
        (second.summary.as_str(), second.author.as_deref()),
        ("plain < text", Some("Guest"))
    );
    assert_eq!(second.categories, ["a", "b"]);
    let with_mark = [b"\xef\xbb\xbf", bytes.as_slice()].concat();
    assert_eq!(read(&with_mark), feed);
}

#[test]
fn podcasts_carry_their_files_whatever_else_they_carry() {
    let feed = read(include_bytes!("fixtures/podcast.xml"));
    let files = |n: usize| {
        feed.items[n]
            .enclosures
            .iter()
            .map(|e| (e.url.as_str(), e.length))
            .collect::<Vec<_>>()
    };
    assert!(
        files(0).contains(&("https://boat.example/2.mp3?a=1&b=2", Some(777))),
        "{:?}",
        files(0)
    );
    assert_eq!(
        feed.items[0].image_url.as_deref(),
        Some("https://boat.example/2.jpg")
    );
    assert_eq!(files(1), [("https://boat.example/1.mp3", Some(555))]);
    assert_eq!(
        feed.items[1].image_url.as_deref(),
        Some("https://boat.example/1.png")
    );
    assert_eq!(feed.items[1].published_at, micros("2026-02-02T04:00:00Z"));
}

#[test]
fn the_same_feed_in_every_encoding_is_the_same_feed() {
    let expected = read(RSS20);
    let text = std::str::from_utf8(RSS20).unwrap();
    let units: Vec<u16> = text.replace("UTF-8", "UTF-16").encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let marked = [&[0xff, 0xfe], little.as_slice()].concat();
    let noisy = format!("\u{feff}\n\nWarning: <b>header</b> sent twice\n{text}");
    for bytes in [little, big, marked, noisy.into_bytes()] {
        assert_eq!(read(&bytes), expected);
    }
    let feed = read(include_bytes!("fixtures/windows1252.xml"));
    assert_eq!(feed.title, "Caf\u{e9} \u{201c}Zw\u{f6}lf\u{201d}");
    assert_eq!(feed.items[0].title, "Preis 5 \u{20ac}");
}

#[test]
fn what_is_no_feed_is_an_error_that_says_what_it_is() {
    let error = |bytes: &[u8]| parse_feed(bytes, None, "https://a.example/").unwrap_err();
    assert_eq!(error(b""), FeedError::Empty);
    assert_eq!(error(b" \n\t"), FeedError::Empty);
    let page = b"<!doctype html><html><head><link rel=alternate type=application/rss+xml href=/feed></head></html>";
    assert_eq!(
        error(page),
        FeedError::Html {
            feeds: vec!["https://a.example/feed".to_owned()]
        }
    );
    assert!(
        error(page)
            .to_string()
            .ends_with("use the feed it names: https://a.example/feed")
    );
    for (bytes, what) in [
        (&b"hello"[..], "plain text"),
        (b"{\"error\":\"not found\"}", "JSON of another shape"),
        (
            b"{\"items\":[{\"sku\":1}],\"title\":\"shop\"}",
            "JSON of another shape",
        ),
        (b"[1,2]", "JSON that is no object"),
        (
            b"{\"version\":\"https://jsonfeed.org/version/1\"}",
            "without items",
        ),
        (b"{\"version\":", "JSON is wrong"),
        (b"<urlset><url/></urlset>", "<urlset>"),
        (b"<opml><body/></opml>", "OPML"),
        (b"<rss version='2.0'></rss>", "holds no channel"),
        (b"<rss><channel><item><title>cut", "ends in the middle"),
        (b"< < <", "without any element"),
    ] {
        let text = error(bytes).to_string();
        assert!(text.contains(what), "{text}");
    }
    assert_eq!(error(&vec![b' '; MAX_FEED_BYTES + 1]), FeedError::TooLarge);
}

#[test]
fn an_empty_channel_is_a_feed_without_items() {
    assert!(
        read(b"<rss version='2.0'><channel><title>t</title></channel></rss>")
            .items
            .is_empty()
    );
}

#[test]
fn bombs_are_refused_or_harmless() {
    let laughs = "<?xml version='1.0'?><!DOCTYPE rss [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>\
        <!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY x SYSTEM 'file:///etc/hostname'>]>\
        <rss><channel><title>&c;&x;</title></channel></rss>";
    assert_eq!(read(laughs.as_bytes()).title, "&c;&x;");
    let deep = format!("<rss><channel>{}", "<a>".repeat(100_000));
    assert_eq!(
        parse_feed(deep.as_bytes(), None, "").unwrap_err(),
        FeedError::TooDeep
    );
    let wide: String = (0..80_000).map(|n| format!(" a{n}=''")).collect();
    assert!(parse_feed(format!("<rss{wide}><channel/></rss>").as_bytes(), None, "").is_err());
    let json = format!("{{\"items\":{}", "[".repeat(1_000_000));
    assert!(parse_feed(json.as_bytes(), None, "").is_err());
    let many = format!(
        "<rss><channel>{}</channel></rss>",
        "<item><title>x</title><guid>1</guid></item>".repeat(50_000)
    );
    assert_eq!(read(many.as_bytes()).items.len(), 1);
    let many: String = (0..3_000)
        .map(|n| format!("<item><guid>{n}</guid></item>"))
        .collect();
    let feed = read(format!("<rss><channel>{many}</channel></rss>").as_bytes());
    assert_eq!((feed.items.len(), feed.warnings.len()), (MAX_FEED_ITEMS, 1));
    let long = format!(
        "<rss><channel><item><title>{}</title></item></channel></rss>",
        "x".repeat(1_000_000)
    );
    assert_eq!(read(long.as_bytes()).items[0].title.len(), MAX_SHORT_CHARS);
}

#[test]
fn no_prefix_of_a_feed_and_no_flipped_byte_panics() {
    for fixture in [
        RSS20,
        include_bytes!("fixtures/atom10.xml"),
        include_bytes!("fixtures/feed11.json"),
        include_bytes!("fixtures/list.opml"),
    ] {
        for end in 0..fixture.len() {
            let _ = parse_feed(&fixture[..end], None, "https://a.example/");
            let mut bytes = fixture.to_vec();
            bytes[end] = b"<&\"\xff]>"[end % 6];
            let _ = parse_feed(&bytes, Some("text/xml; charset=utf-16"), "not a url");
            let _ = parse_opml(&bytes);
        }
    }
}

#[test]
fn a_feed_cut_short_gives_only_complete_items() {
    let cut = RSS20.len() - 120;
    let feed = read(&RSS20[..cut]);
    assert_eq!((feed.items.len(), feed.warnings.len()), (1, 1));
    assert_eq!(feed.items[0], read(RSS20).items[0]);
}

#[test]
fn a_second_poll_tells_new_from_edited_from_known() {
    let first = diff_items(&BTreeMap::new(), read(RSS20));
    let keys: Vec<_> = first.new.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(
        keys,
        ["guid:https://harbour.example/posts/cafe", "guid:harbour-2"],
        "oldest first"
    );
    let known: BTreeMap<String, String> = first
        .new
        .iter()
        .map(|i| (i.key.clone(), i.content_hash.clone()))
        .collect();
    let again = diff_items(&known, read(RSS20));
    assert_eq!(
        (again.new.len(), again.edited.len(), again.unchanged),
        (0, 0, 2)
    );
    let edited = String::from_utf8_lossy(RSS20)
        .replace("Coffee at last", "Coffee and cake")
        .replace("Tue, 03", "Tue, 04");
    let third = diff_items(&known, read(edited.as_bytes()));
    assert_eq!(
        (third.new.len(), third.edited.len(), third.unchanged),
        (0, 1, 1),
        "a date alone is no edit"
    );
    assert_eq!(third.edited[0].summary, "Coffee and cake");
}

#[test]
fn keys_of_different_kinds_never_meet() {
    let feed = read(
        b"<rss><channel><item><guid isPermaLink='false'>https://a.example/x</guid></item>\
        <item><link>https://a.example/x</link></item></channel></rss>",
    );
    assert_eq!(feed.items.len(), 2);
    let long = format!(
        "<rss><channel><item><guid>{}</guid></item></channel></rss>",
        "g".repeat(5_000)
    );
    assert!(read(long.as_bytes()).items[0].key.starts_with("guid-hash:"));
}

#[test]
fn an_opml_list_is_read_row_by_row() {
    let list = parse_opml(include_bytes!("fixtures/list.opml")).unwrap();
    let feeds: Vec<_> = list
        .feeds
        .iter()
        .map(|f| (f.title.as_str(), f.url.as_str(), f.category.as_deref()))
        .collect();
    assert_eq!(
        feeds,
        [
            ("Harbour & Co", "https://harbour.example/feed", Some("News")),
            (
                "Bell",
                "https://bell.example/rss?a=1&b=2",
                Some("News / Local")
            ),
            (
                "https://untitled.example/feed",
                "https://untitled.example/feed",
                None
            ),
        ]
    );
    let problems: Vec<_> = list
        .problems
        .iter()
        .map(|p| (p.row, p.problem.as_str()))
        .collect();
    assert_eq!(problems[0], (5, "it has no address (xmlUrl)"));
    assert!(
        problems[1].1.contains("no http or https") && problems[2].1.contains("twice"),
        "{problems:?}"
    );
    assert!(matches!(parse_opml(RSS20), Err(FeedError::NotOpml { .. })));
    assert!(matches!(
        parse_opml(b"<opml></opml>"),
        Err(FeedError::NotOpml { .. })
    ));
    assert_eq!(parse_opml(b""), Err(FeedError::Empty));
}

/// Answers one request on loopback and hands back what it was asked.
async fn one_answer(answer: String) -> (String, tokio::task::JoinHandle<String>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/feed?key=hush", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 8192];
        let length = socket.read(&mut request).await.unwrap();
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (url, asked)
}

async fn poll(answer: &str) -> (FetchOutcome, String) {
    let (url, asked) = one_answer(answer.to_owned()).await;
    let allow = vec!["127.0.0.1:*".parse().unwrap()];
    let outbound = so_net::Outbound::new(so_net::OutboundConfig {
        allow,
        ..Default::default()
    });
    let outcome = fetch_feed(
        &outbound,
        &url,
        Some("\"v1\""),
        Some("Mon, 02 Feb 2026 09:00:00 GMT"),
        0,
    )
    .await;
    (outcome, asked.await.unwrap())
}

#[tokio::test]
async fn a_poll_is_conditional_and_says_what_it_found() {
    let (outcome, asked) =
        poll("HTTP/1.1 304 Not Modified\r\netag: \"v2\"\r\ncache-control: max-age=60\r\n\r\n")
            .await;
    assert!(
        asked.contains("if-none-match: \"v1\"") && asked.contains("if-modified-since: Mon, 02 Feb"),
        "{asked}"
    );
    let minute = std::time::Duration::from_secs(60);
    assert!(
        matches!(outcome, FetchOutcome::NotModified { etag: Some(e), max_age: Some(a), .. } if e == "\"v2\"" && a == minute)
    );
    let (outcome, _) =
        poll("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 5\r\n\r\n<rss>").await;
    assert!(
        matches!(outcome, FetchOutcome::Body { bytes, content_type: Some(t), .. } if &bytes[..] == b"<rss>" && t == "text/xml")
    );
    assert!(matches!(
        poll("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")
            .await
            .0,
        FetchOutcome::Gone
    ));
    let (outcome, _) =
        poll("HTTP/1.1 429 Slow\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n").await;
    assert!(
        matches!(outcome, FetchOutcome::Failed { status: Some(429), retry_after: Some(w), .. } if w == minute)
    );
}

#[tokio::test]
async fn a_poll_of_a_private_address_fails_for_good_and_hides_the_query() {
    let (outcome, _) = poll(
        "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/?key=hush\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let FetchOutcome::Failed {
        problem, permanent, ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert!(
        permanent && problem.contains("private") && !problem.contains("hush"),
        "{problem}"
    );
}
