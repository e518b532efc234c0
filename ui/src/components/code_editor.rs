//! A text area with line numbers and marked lines, for rule documents and scripts.
//!
//! Owns the gutter and its agreement with the text's scroll place. Knows no language. Tab moves the focus, as everywhere,
//! so that nobody is caught in it. Invariant: every marked line's message is readable without colour and without hover.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlTextAreaElement};

use super::{Glyph, Icon, unique_id};

/// Something wrong on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// From 1; `None` when the whole text is meant.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
}

/// The editor. `marks` are drawn in the gutter and listed below; pressing one puts the cursor there.
#[component(inline_props)]
pub fn CodeEditor(
    #[prop(setter(into))] label: String,
    value: Signal<String>,
    #[prop(default = Vec::new().into(), setter(into))] marks: MaybeDyn<Vec<Mark>>,
    #[prop(default)] read_only: bool,
    #[prop(default, setter(into))] hint: String,
) -> View {
    let id = unique_id("editor");
    let list_id = format!("{id}-marks");
    let (area, gutter) = (create_node_ref(), create_node_ref());
    let lines = create_selector(move || value.with(|text| line_count(text)));
    let (wrong, invalid, described) = (marks.clone(), marks.clone(), marks.clone());
    let numbers = move || {
        let marked: Vec<u32> = wrong
            .get_clone()
            .iter()
            .filter_map(|mark| mark.line)
            .collect();
        let number = |line: u32| {
            let class = if marked.contains(&line) { "marked" } else { "" };
            view! { div(class=class) { (line.to_string()) } }
        };
        View::from((1..=lines.get()).map(number).collect::<Vec<_>>())
    };
    let scroll = move |_: web_sys::Event| {
        if let (Some(area), Some(gutter)) = (element::<Element>(area), element::<Element>(gutter)) {
            gutter.set_scroll_top(area.scroll_top());
        }
    };
    let list = move || {
        let marks = marks
            .get_clone()
            .into_iter()
            .map(|mark| mark_row(mark, area, value));
        View::from(marks.collect::<Vec<_>>())
    };
    let (for_id, described_id) = (id.clone(), list_id.clone());
    let hint = if hint.is_empty() {
        View::new()
    } else {
        view! { p(class="hint") { (hint) } }
    };
    view! {
        div(class="field") {
            label(r#for=for_id) { (label) }
            div(class="editor", data-invalid=move || (!invalid.get_clone().is_empty()).then_some("true")) {
                div(class="editor-gutter", aria-hidden="true", r#ref=gutter) { (numbers) }
                textarea(id=id, "spellcheck"="false", autocapitalize="off", autocomplete="off", wrap="off", readonly=read_only, r#ref=area,
                    aria-invalid=move || (!described.get_clone().is_empty()).then_some("true"), aria-describedby=described_id,
                    bind:value=value, on:scroll=scroll)
            }
            (hint)
            ul(id=list_id, aria-live="polite") { (list) }
        }
    }
}

fn mark_row(mark: Mark, area: NodeRef, value: Signal<String>) -> View {
    let message = mark.message;
    let Some(line) = mark.line else {
        return view! { li(class="error") { Icon(glyph=Glyph::Alert, small=true) span { (message) } } };
    };
    let go = move |_: web_sys::MouseEvent| {
        let Some(area) = element::<HtmlTextAreaElement>(area) else {
            return;
        };
        let (start, end) = value.with_untracked(|text| line_span(text, line));
        let _ = area.focus();
        let _ = area.set_selection_range(start, end);
    };
    let place = format!("Line {line}");
    view! {
        li(class="error") {
            Icon(glyph=Glyph::Alert, small=true)
            span { button(r#type="button", class="link", on:click=go) { (place) } " " (message) }
        }
    }
}

fn element<T: JsCast>(node: NodeRef) -> Option<T> {
    node.try_get().and_then(|node| node.dyn_into().ok())
}

/// Lines as an editor counts them: one more than there are line ends.
fn line_count(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX - 1) + 1
}

/// Where a line begins and ends, in the UTF-16 units a text area counts in.
fn line_span(text: &str, line: u32) -> (u32, u32) {
    let units = |text: &str| u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX);
    let mut start = 0;
    let mut lines = text.split('\n');
    for before in lines.by_ref().take(line.saturating_sub(1) as usize) {
        start += units(before) + 1;
    }
    (start, start + lines.next().map_or(0, units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_has_one_line_and_a_final_line_end_begins_another() {
        assert_eq!(
            (
                line_count(""),
                line_count("a"),
                line_count("a\n"),
                line_count("a\nb")
            ),
            (1, 1, 2, 2)
        );
    }

    #[test]
    fn the_cursor_goes_to_the_marked_line_whatever_letters_stand_before_it() {
        assert_eq!(line_span("ä😀\nname: x\n", 2), (4, 11));
        assert_eq!(line_span("a", 1), (0, 1));
        assert_eq!(line_span("a", 9).1, line_span("a", 9).0);
    }
}
