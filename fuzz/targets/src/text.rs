//! Counting, comparing and marking up text.
//!
//! Owns the promises: a count lies between its bounds, a normalised text stays as it is, and marks
//! lie on characters and do not overlap. Input: the text of a post.

use std::collections::BTreeMap;

use so_connectors::bluesky;
use so_model::{
    network::{TextRule, TextUnit},
    text,
};

pub(crate) fn run(data: &[u8]) {
    let post = crate::text_of(data);
    for unit in [
        TextUnit::Graphemes,
        TextUnit::Scalars,
        TextUnit::Utf16,
        TextUnit::Weighted,
        TextUnit::Bytes,
    ] {
        for (url_length, short_mentions) in [(None, false), (Some(23), true), (Some(0), false)] {
            let rule = TextRule {
                unit,
                max: 500,
                bytes_max: Some(3000),
                url_length,
                short_mentions,
            };
            let length = text::measure(&rule, &post);
            assert_eq!(length.bytes, post.len());
            if url_length.is_none() {
                assert_eq!(length.used, text::units(unit, &post), "{unit:?}");
                assert!(length.used <= 2 * post.len());
            }
        }
    }
    if let Some((start, end)) = text::next_url(&post) {
        assert!(post[start..end].starts_with("http"));
    }
    let once = text::normalise(&post);
    assert_eq!(
        text::normalise(&once),
        once,
        "normalising changes what is normal"
    );
    marks(&post);
}

fn marks(post: &str) {
    let dids: BTreeMap<String, String> = bluesky::answers::mentioned(post)
        .into_iter()
        .map(|handle| (handle, "did:plc:a".to_owned()))
        .collect();
    let mut end = 0;
    for facet in bluesky::answers::facets(post, &dids) {
        let at = |key: &str| usize::try_from(facet["index"][key].as_u64().unwrap()).unwrap();
        let (from, to) = (at("byteStart"), at("byteEnd"));
        assert!(from >= end && to > from, "marks overlap");
        assert!(post.get(from..to).is_some(), "a mark cuts a character");
        end = to;
    }
}
