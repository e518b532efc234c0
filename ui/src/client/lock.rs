//! Taking turns between tabs, by the browser's Web Locks.
//!
//! Owns the one call into `navigator.locks`. Invariant: the work runs even where a browser has no locks or refuses them;
//! then only tabs that refresh in the same moment can disturb each other.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};

/// Runs `work` while no other tab runs work under the same name.
pub(super) async fn exclusively<T: 'static>(
    name: &str,
    work: impl Future<Output = T> + 'static,
) -> T {
    let Some((locks, request)) = lock_manager() else {
        return work.await;
    };
    let work = Rc::new(RefCell::new(Some(work)));
    let result = Rc::new(RefCell::new(None));
    let held = {
        let (work, result) = (Rc::clone(&work), Rc::clone(&result));
        Closure::<dyn FnMut() -> Promise>::new(move || {
            let (work, result) = (work.borrow_mut().take(), Rc::clone(&result));
            future_to_promise(async move {
                if let Some(work) = work {
                    let done = work.await;
                    *result.borrow_mut() = Some(done);
                }
                Ok(JsValue::UNDEFINED)
            })
        })
    };
    let asked = request.call2(&locks, &name.into(), held.as_ref());
    if let Ok(promise) = asked.map(JsCast::unchecked_into::<Promise>) {
        // A refused lock leaves the work untaken; it runs below.
        let _ = JsFuture::from(promise).await;
    }
    let done = result.borrow_mut().take();
    match done {
        Some(done) => done,
        None => {
            let untaken = work.borrow_mut().take();
            untaken
                .expect("work that gave no result was never taken")
                .await
        }
    }
}

fn lock_manager() -> Option<(JsValue, Function)> {
    let navigator = web_sys::window()?.navigator();
    let locks = Reflect::get(&navigator, &"locks".into())
        .ok()
        .filter(JsValue::is_object)?;
    let request = Reflect::get(&locks, &"request".into())
        .ok()?
        .dyn_into()
        .ok()?;
    Some((locks, request))
}
