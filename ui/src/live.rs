//! Live updates: server-sent events over `fetch`.
//!
//! The browser's own EventSource cannot send an Authorization header, and a token in an address ends up in logs; so the
//! stream is read by hand. Owns reconnection. Invariant: a subscription ends with the scope that asked for it.

mod sse;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_net::http::Method;
use gloo_timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use sycamore::futures::spawn_local_scoped;
use sycamore::reactive::on_cleanup;
use sycamore::web::window;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

pub use self::sse::Event;
use self::sse::Parser;
use crate::client::{Client, is_signed_out};

/// The pause before the first reconnection; it doubles up to the longest.
const FIRST_PAUSE_MS: u32 = 1_000;
/// A server that restarts is back well within this.
const LONGEST_PAUSE_MS: u32 = 30_000;

/// Calls `on_event` for each event of the stream at `path`, until the current scope ends.
///
/// `on_event` also gets an event of kind [`sse::RECONNECTED`] after a gap: what was missed must be read again.
pub fn subscribe(client: Client, path: String, on_event: impl Fn(Event) + 'static) {
    let line = Rc::new(Line::default());
    let (ending, leaving) = (Rc::clone(&line), Rc::clone(&line));
    on_cleanup(move || {
        ending.is_over.set(true);
        ending.hang_up();
    });
    on_page_hide(move || leaving.hang_up());
    spawn_local_scoped(async move {
        let mut pause = FIRST_PAUSE_MS;
        let mut parser = Parser::default();
        while !line.is_over.get() {
            let Some(signal) = line.pick_up() else { return };
            match client.send(Method::GET, &path, None, Some(&signal)).await {
                Ok(response) if response.ok() => {
                    if pause > FIRST_PAUSE_MS {
                        on_event(Event::reconnected());
                    }
                    pause = FIRST_PAUSE_MS;
                    read(response.body(), &mut parser, &on_event).await;
                    parser.restart();
                }
                Err(problem) if is_signed_out(&problem) => return,
                _ => {}
            }
            TimeoutFuture::new(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE_MS);
        }
    });
}

/// The one connection of a subscription.
#[derive(Default)]
struct Line {
    current: RefCell<Option<web_sys::AbortController>>,
    is_over: Cell<bool>,
}

impl Line {
    fn pick_up(&self) -> Option<web_sys::AbortSignal> {
        let abort = web_sys::AbortController::new().ok()?;
        let signal = abort.signal();
        *self.current.borrow_mut() = Some(abort);
        Some(signal)
    }

    fn hang_up(&self) {
        if let Some(abort) = self.current.borrow_mut().take() {
            abort.abort();
        }
    }
}

/// Calls `f` when the page is put away, until the current scope ends.
///
/// A page that the browser keeps for Back would hold its connection, and a browser has six for a server: a few reloads
/// would use them up. After Back the subscription connects again by itself.
fn on_page_hide(f: impl Fn() + 'static) {
    let closure = Closure::<dyn Fn()>::new(f);
    let _ = window().add_event_listener_with_callback("pagehide", closure.as_ref().unchecked_ref());
    on_cleanup(move || {
        let _ = window()
            .remove_event_listener_with_callback("pagehide", closure.as_ref().unchecked_ref());
    });
}

/// Reads until the stream ends or breaks; both mean reconnecting.
async fn read(
    body: Option<web_sys::ReadableStream>,
    parser: &mut Parser,
    on_event: &dyn Fn(Event),
) {
    let Some(reader) = body.and_then(|body| {
        body.get_reader()
            .dyn_into::<web_sys::ReadableStreamDefaultReader>()
            .ok()
    }) else {
        return;
    };
    while let Ok(chunk) = JsFuture::from(reader.read()).await {
        let done = Reflect::get(&chunk, &"done".into()).is_ok_and(|done| done.is_truthy());
        let bytes = Reflect::get(&chunk, &"value".into())
            .ok()
            .and_then(|value: JsValue| value.dyn_into::<Uint8Array>().ok());
        for event in bytes
            .map(|bytes| parser.push(&bytes.to_vec()))
            .unwrap_or_default()
        {
            on_event(event);
        }
        if done {
            return;
        }
    }
}
