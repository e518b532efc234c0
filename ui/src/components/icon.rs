//! Lucide icons, inside the module: only those named here are shipped.
//!
//! Owns the list. Invariant: an icon is decoration; the word beside it, or the button's label, says what it means.

use sycamore::prelude::*;

macro_rules! glyphs {
    ($($name:ident $file:literal)*) => {
        /// An icon by its meaning-free name at Lucide.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Glyph { $(#[doc = $file] $name,)* }

        impl Glyph {
            /// All of them, for tests and for the style page.
            pub const ALL: &[Glyph] = &[$(Glyph::$name),*];

            fn file(self) -> &'static str {
                match self { $(Glyph::$name => include_str!(concat!("../../assets/icons/", $file, ".svg")),)* }
            }
        }
    };
}

glyphs! {
    Account "circle-user"
    Activity "activity"
    Alert "circle-alert"
    ArrowLeft "arrow-left"
    Bell "bell"
    CalendarClock "calendar-clock"
    CalendarDays "calendar-days"
    CalendarX "calendar-x"
    Check "check"
    ChevronDown "chevron-down"
    ChevronRight "chevron-right"
    CircleCheck "circle-check"
    CircleCheckBig "circle-check-big"
    CircleDashed "circle-dashed"
    CircleX "circle-x"
    Clock "clock"
    Copy "copy"
    Ellipsis "ellipsis"
    ExternalLink "external-link"
    Eye "eye"
    EyeOff "eye-off"
    FileText "file-text"
    Flask "flask-conical"
    Hourglass "hourglass"
    Image "image"
    Info "info"
    Link "link-2"
    List "list-ordered"
    Loader "loader"
    LogOut "log-out"
    Menu "menu"
    Monitor "monitor"
    Moon "moon"
    Pause "pause"
    Pencil "pencil"
    Play "play"
    Plus "plus"
    Refresh "refresh-cw"
    RowsComfortable "rows-3"
    RowsCompact "rows-4"
    Rss "rss"
    Search "search"
    Settings "settings"
    Split "split"
    Sun "sun"
    Trash "trash-2"
    TriangleAlert "triangle-alert"
    Users "users"
    Webhook "webhook"
    Workflow "workflow"
    Send "send"
    Upload "upload"
    Inbox "inbox"
    Tag "tag"
    Zap "zap"
    History "history"
    Corner "corner-down-right"
    Key "key-round"
    Message "message-square"
    Skip "skip-forward"
    Filter "filter"
    ArrowUp "arrow-up"
    Save "save"
    X "x"
}

/// The drawing inside a file's `<svg>` element.
pub(super) fn drawing(file: &'static str) -> &'static str {
    let inner = file
        .split_once("<svg")
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or("", |(_, inner)| inner);
    inner
        .rsplit_once("</svg>")
        .map_or("", |(inner, _)| inner)
        .trim()
}

/// An icon of 20 px, or of 16 px when `small`.
#[component(inline_props)]
pub fn Icon(glyph: Glyph, #[prop(default)] small: bool) -> View {
    let class = if small { "icon icon-16" } else { "icon" };
    let svg = sycamore::web::tags::svg().viewBox("0 0 24 24").class(class);
    svg.attr("aria-hidden", "true")
        .attr("focusable", "false")
        .dangerously_set_inner_html(drawing(glyph.file()))
        .into()
}

/// The product's mark.
#[component]
pub fn Logo() -> View {
    let svg = sycamore::web::tags::svg()
        .viewBox("0 0 32 32")
        .class("mark")
        .attr("aria-hidden", "true");
    svg.dangerously_set_inner_html(drawing(include_str!("../../assets/favicon.svg")))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_has_a_drawing_and_nothing_that_could_run() {
        for glyph in Glyph::ALL {
            let drawing = drawing(glyph.file());
            assert!(
                drawing.starts_with('<') && drawing.ends_with("/>"),
                "{glyph:?}"
            );
            assert!(
                !drawing.contains("script") && !drawing.contains("style="),
                "{glyph:?}"
            );
        }
    }
}
