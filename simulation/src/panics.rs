//! Who hears of panics in this process, besides whoever heard of them before.

use std::fmt;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;

type Handler = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Lets a handler hear of every panic of this process until it is dropped.
pub struct PanicWatch {
    previous: Handler,
}

impl fmt::Debug for PanicWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PanicWatch")
    }
}

impl PanicWatch {
    /// The handler hears of it first, then whoever heard of it before.
    #[must_use]
    pub fn first(handler: impl Fn(&PanicHookInfo<'_>) + Send + Sync + 'static) -> Self {
        Self::install(move |previous, panic| {
            handler(panic);
            previous(panic);
        })
    }

    /// Whoever heard of it before does so first; the handler may end the process.
    #[must_use]
    pub fn last(handler: impl Fn(&PanicHookInfo<'_>) + Send + Sync + 'static) -> Self {
        Self::install(move |previous, panic| {
            previous(panic);
            handler(panic);
        })
    }

    fn install(hear: impl Fn(&Handler, &PanicHookInfo<'_>) + Send + Sync + 'static) -> Self {
        let previous: Handler = Arc::from(panic::take_hook());
        let before = Arc::clone(&previous);
        panic::set_hook(Box::new(move |panic| hear(&before, panic)));
        Self { previous }
    }
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        // A thread that panics may not change the hook.
        if !std::thread::panicking() {
            let previous = Arc::clone(&self.previous);
            panic::set_hook(Box::new(move |panic| previous(panic)));
        }
    }
}
