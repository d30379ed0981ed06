//! Switches that only the simulator turns on: rare paths that it takes often, and faults planted to test it.
//!
//! A place asks by name, `room.module.what`, and each name stands at one place. Without the cargo feature `switches`,
//! which the `simulation` room alone asks for, every answer is a constant no, and nothing of this is left in the
//! program. With it, whatever is [`install`]ed on the present thread answers; the simulator runs all nodes on one thread.
//!
//! The model is FoundationDB's BUGGIFY. Which names there are, and what each is for, stands in the simulator
//! (`simulation/src/rare.rs`, `simulation/src/mutation.rs`), and a test there holds the lists exact.

#[cfg(feature = "switches")]
pub use installed::{Decide, Guard, Kind, broken, install, rare};
#[cfg(not(feature = "switches"))]
pub use off::{broken, rare};

#[cfg(not(feature = "switches"))]
mod off {
    /// Whether a rare path is to be taken here. Always false outside the simulator.
    #[inline]
    #[must_use]
    pub const fn rare(_name: &'static str) -> bool {
        false
    }

    /// Whether a fault planted to test the simulator is to show here. Always false outside the simulator.
    #[inline]
    #[must_use]
    pub const fn broken(_name: &'static str) -> bool {
        false
    }
}

#[cfg(feature = "switches")]
mod installed {
    use std::cell::RefCell;
    use std::fmt;
    use std::marker::PhantomData;

    /// What is asked about.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind {
        /// A legal path that production takes once in a blue moon.
        Rare,
        /// A planted fault.
        Broken,
    }

    /// Answers for one thread.
    pub type Decide = Box<dyn FnMut(Kind, &'static str) -> bool>;

    thread_local! {
        static DECIDE: RefCell<Option<Decide>> = const { RefCell::new(None) };
    }

    /// Whether a rare path is to be taken here. Always false outside the simulator.
    #[must_use]
    pub fn rare(name: &'static str) -> bool {
        ask(Kind::Rare, name)
    }

    /// Whether a fault planted to test the simulator is to show here. Always false outside the simulator.
    #[must_use]
    pub fn broken(name: &'static str) -> bool {
        ask(Kind::Broken, name)
    }

    fn ask(kind: Kind, name: &'static str) -> bool {
        // A switch that is asked for while another one is decided, or while the thread ends, is off.
        let ask = |decide: &RefCell<Option<Decide>>| decide.try_borrow_mut().ok()?.as_mut().map(|it| it(kind, name));
        DECIDE.try_with(ask).ok().flatten().unwrap_or(false)
    }

    /// Lets `decide(kind, name)` answer on this thread until the guard is dropped; then whatever answered before does.
    #[must_use]
    pub fn install(decide: Decide) -> Guard {
        Guard { before: DECIDE.replace(Some(decide)), not_send: PhantomData }
    }

    /// Keeps what was installed in place.
    pub struct Guard {
        before: Option<Decide>,
        /// It belongs to its thread.
        not_send: PhantomData<*const ()>,
    }

    impl fmt::Debug for Guard {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("Guard")
        }
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            let before = self.before.take();
            // It fails only while the thread ends, when nobody asks any more.
            let _ = DECIDE.try_with(|decide| decide.replace(before));
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        #[expect(clippy::disallowed_methods, reason = "shows that another thread is not concerned")]
        fn the_last_one_installed_answers_until_it_goes() {
            assert!(!rare("a") && !broken("a"));
            let outer = install(Box::new(|kind, name| kind == Kind::Rare && name == "a"));
            assert!(rare("a") && !rare("b") && !broken("a"));
            let mut asked = 0;
            let inner = install(Box::new(move |kind, _| {
                asked += 1;
                kind == Kind::Broken && asked % 2 == 0 && !rare("a")
            }));
            assert_eq!([broken("b"), broken("b"), rare("a")], [false, true, false]);
            assert!(std::thread::scope(|scope| !scope.spawn(|| broken("b")).join().unwrap()), "per thread");
            drop(inner);
            assert!(rare("a") && !broken("b"));
            drop(outer);
            assert!(!rare("a"));
        }
    }
}
