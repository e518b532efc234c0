//! Named crash points: a process that is told to dies exactly here.
//!
//! `KILL_AT=K6` kills the process (SIGKILL, so nothing is tidied up) when
//! it passes K6 for the first time; `K6:3` for the third. Only builds with
//! debug assertions or the feature `failpoints` have them.

#[cfg(any(debug_assertions, feature = "failpoints"))]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };

    struct Armed {
        name: String,
        left: AtomicU32,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    pub(super) fn hit(name: &str) {
        let armed = ARMED.get_or_init(|| {
            let text = std::env::var("KILL_AT").ok()?;
            let (name, count) = text.split_once(':').unwrap_or((text.as_str(), "1"));
            let left = AtomicU32::new(count.parse().unwrap_or(1));
            Some(Armed {
                name: name.to_string(),
                left,
            })
        });
        if let Some(armed) = armed
            && armed.name == name
            && armed.left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            let me = rustix::process::getpid();
            if rustix::process::kill_process(me, rustix::process::Signal::KILL).is_err() {
                std::process::abort();
            }
            // The signal may arrive a moment later: nothing further may happen here.
            loop {
                std::thread::park();
            }
        }
    }
}

/// Dies here if this point is armed.
#[inline]
pub fn hit(name: &str) {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    armed::hit(name);
    #[cfg(not(any(debug_assertions, feature = "failpoints")))]
    let _ = name;
}
