//! What a person likes: theme, density, the width of the rail, the workspace on show. Kept in this browser.
//!
//! Owns the `so.*` keys of localStorage and the attributes on the root element that the style sheet reads;
//! assets/theme.js sets the same two before the first paint. Invariant: a browser that refuses storage works, forgetfully.

use sycamore::prelude::*;

/// Light, dark, or as the system has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it.
    System,
    /// Ink on paper.
    Light,
    /// A lamp over a dark desk.
    Dark,
}

/// How much fits on the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Density {
    /// Rows to read.
    Comfortable,
    /// Rows to scan.
    Compact,
}

impl Theme {
    /// The word in storage and on the root element.
    pub fn as_str(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => Theme::System,
        }
    }
}

impl Density {
    /// The word in storage and on the root element.
    pub fn as_str(self) -> &'static str {
        match self {
            Density::Comfortable => "comfortable",
            Density::Compact => "compact",
        }
    }

    fn parse(text: &str) -> Self {
        if text == "compact" {
            Density::Compact
        } else {
            Density::Comfortable
        }
    }
}

/// The preferences as signals; setting one keeps it.
#[derive(Clone, Copy)]
pub struct Prefs {
    /// Light, dark or system.
    pub theme: Signal<Theme>,
    /// Comfortable or compact.
    pub density: Signal<Density>,
    /// Whether the rail shows its words.
    pub rail_is_wide: Signal<bool>,
    /// The id of the workspace last on show.
    pub workspace: Signal<String>,
}

impl Prefs {
    /// Reads what was kept and keeps what will be set. Call once.
    pub fn start() -> Self {
        let prefs = Self {
            theme: create_signal(Theme::parse(&read("so.theme"))),
            density: create_signal(Density::parse(&read("so.density"))),
            rail_is_wide: create_signal(read("so.rail") == "wide"),
            workspace: create_signal(read("so.workspace")),
        };
        create_effect(move || keep("so.theme", Some("data-theme"), prefs.theme.get().as_str()));
        create_effect(move || {
            keep(
                "so.density",
                Some("data-density"),
                prefs.density.get().as_str(),
            )
        });
        create_effect(move || {
            keep(
                "so.rail",
                None,
                if prefs.rail_is_wide.get() {
                    "wide"
                } else {
                    "narrow"
                },
            )
        });
        create_effect(move || keep("so.workspace", None, &prefs.workspace.get_clone()));
        prefs
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

fn read(key: &str) -> String {
    storage()
        .and_then(|storage| storage.get_item(key).ok().flatten())
        .unwrap_or_default()
}

fn keep(key: &str, attribute: Option<&str>, value: &str) {
    if let Some(storage) = storage() {
        let _ = storage.set_item(key, value);
    }
    if let (Some(root), Some(attribute)) = (document().document_element(), attribute) {
        let _ = root.set_attribute(attribute, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_survives_being_kept_and_nonsense_reads_as_the_default() {
        for theme in [Theme::System, Theme::Light, Theme::Dark] {
            assert_eq!(Theme::parse(theme.as_str()), theme);
        }
        for density in [Density::Comfortable, Density::Compact] {
            assert_eq!(Density::parse(density.as_str()), density);
        }
        assert_eq!(Theme::parse("purple"), Theme::System);
    }
}
