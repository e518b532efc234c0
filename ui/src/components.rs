//! The parts every page is put together from.
//!
//! Owns looks and keyboard manners. Never calls the API and knows no page. Invariant: a part that acts has a name for
//! screen readers, shows focus, and keeps focus while it waits.

mod account;
mod badge;
mod button;
mod code_editor;
mod confirm;
mod dialog;
mod field;
mod icon;
mod list;
mod moment;
mod notice;
mod segment;
mod toast;

use std::cell::Cell;
use std::rc::Rc;

pub use self::account::{AccountChip, Avatar, NetworkMark};
pub use self::badge::{
    Badge, Face, Tone, account_face, post_face, publication_face, run_face, step_face, verdict_face,
};
pub use self::button::{Button, Kind, LinkButton};
pub use self::code_editor::{CodeEditor, Mark};
pub use self::confirm::Confirm;
pub use self::dialog::Dialog;
pub use self::field::{
    Choice, FieldErrorText, PasswordField, SelectField, Switch, TextArea, TextField,
};
pub use self::icon::{Glyph, Icon, Logo};
pub use self::list::{EmptyState, RowLink, SkeletonRows};
pub use self::moment::{Ago, Facts, Moment, workspace_zone};
pub use self::notice::{ErrorNotice, Notice, NoticeKind};
pub use self::segment::Segment;
pub use self::toast::{ToastShelf, Toasts};

/// What a part calls when the person acts.
#[derive(Clone, Default)]
pub struct Callback(Option<Rc<dyn Fn()>>);

impl<F: Fn() + 'static> From<F> for Callback {
    fn from(f: F) -> Self {
        Self(Some(Rc::new(f)))
    }
}

impl Callback {
    /// Calls it.
    pub fn call(&self) {
        if let Some(f) = &self.0 {
            f();
        }
    }

    /// Whether somebody listens.
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

/// An id for tying labels, hints and errors to their control.
pub fn unique_id(stem: &str) -> String {
    thread_local! {
        static NEXT: Cell<u32> = const { Cell::new(0) };
    }
    let number = NEXT.get();
    NEXT.set(number.wrapping_add(1));
    format!("{stem}-{number}")
}
