//! What just changed at the server, for whoever shows it.
//!
//! Owns the one live stream of the page and its fan-out. Never knows what a page does with a change. Invariant: a burst of
//! changes makes a page read anew once, not once for each.

use gloo_timers::future::TimeoutFuture;
use sycamore::futures::spawn_local_scoped;
use sycamore::prelude::*;
use sycamore::reactive::use_current_scope;

use crate::client::Client;
use crate::live;

/// Changes that come within this make one; shorter than anybody notices, longer than a publish takes to tell its steps.
const GATHER_MS: u32 = 250;

/// A change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Beat {
    what: String,
    number: u64,
}

/// The page's ear; copy it freely.
#[derive(Clone, Copy)]
pub struct Pulse(Signal<Beat>);

impl Pulse {
    /// Hears nothing yet. Call once, in the root scope.
    pub fn start() -> Self {
        Self(create_signal(Beat::default()))
    }

    /// Listens at `path` until the current scope ends.
    pub fn listen(self, client: Client, path: String) {
        live::subscribe(client, path, move |event| {
            let number = self.0.with_untracked(|beat| beat.number) + 1;
            self.0.set(Beat {
                what: event.kind,
                number,
            });
        });
    }

    /// Calls `f` after a change of one of `kinds`, and after a gap, until the current scope ends.
    pub fn on(self, kinds: &'static [&'static str], f: impl Fn() + Clone + 'static) {
        let waiting = create_signal(false);
        let scope = use_current_scope();
        let first = self.0.with_untracked(|beat| beat.number);
        create_effect(move || {
            let beat = self.0.get_clone();
            if beat.number == first || !concerns(&beat.what, kinds) || waiting.get_untracked() {
                return;
            }
            waiting.set(true);
            let f = f.clone();
            // Outside the effect's own scope, which ends at the next beat, and inside the one that listens.
            wasm_bindgen_futures::spawn_local(async move {
                TimeoutFuture::new(GATHER_MS).await;
                if waiting.is_alive() {
                    waiting.set(false);
                    scope.run_in(f);
                }
            });
        });
    }
}

fn concerns(what: &str, kinds: &[&str]) -> bool {
    matches!(what, "reload" | "client.reconnected") || kinds.contains(&what)
}

/// Does `f` after `pause_ms`, unless the current scope ends before.
pub fn later(pause_ms: u32, f: impl FnOnce() + 'static) {
    spawn_local_scoped(async move {
        TimeoutFuture::new(pause_ms).await;
        f();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_concerns_everybody_and_a_change_only_those_who_show_its_kind() {
        assert!(concerns("reload", &["post"]));
        assert!(concerns("client.reconnected", &[]));
        assert!(concerns("post", &["run", "post"]));
        assert!(!concerns("rule", &["run", "post"]));
    }
}
