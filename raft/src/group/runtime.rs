//! The asynchronous runtime as openraft sees it: tokio, with randomness that the simulator can seed.
//!
//! openraft draws its election timeouts from here and from nowhere else. In production they come from the system;
//! after [`seed_randomness`] on a thread, every draw on that thread follows from the seed.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use openraft_rt::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::{TokioInstant, TokioMpsc, TokioMutex, TokioOneshot, TokioRuntime, TokioWatch};
use rand_core::TryRng;

thread_local! {
    static SEEDED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Makes openraft's randomness on this thread a function of `seed`, from now on. For the simulator, which runs all
/// nodes on one thread.
pub fn seed_randomness(seed: u64) {
    SEEDED.set(Some(seed));
}

/// Next number of the seeded sequence of this thread (SplitMix64), if there is one.
fn next_seeded() -> Option<u64> {
    let state = SEEDED.get()?.wrapping_add(0x9e37_79b9_7f4a_7c15);
    SEEDED.set(Some(state));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Some(mixed ^ (mixed >> 31))
}

type System = <TokioRuntime as AsyncRuntime>::ThreadLocalRng;

/// Randomness of the present thread: the seeded sequence if there is one, otherwise the system's.
#[derive(Debug)]
pub struct ThreadRandomness(System);

impl TryRng for ThreadRandomness {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        match next_seeded() {
            Some(number) => Ok((number >> 32) as u32),
            None => self.0.try_next_u32(),
        }
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        match next_seeded() {
            Some(number) => Ok(number),
            None => self.0.try_next_u64(),
        }
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(8) {
            match next_seeded() {
                Some(number) => chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]),
                None => self.0.try_fill_bytes(chunk)?,
            }
        }
        Ok(())
    }
}

/// Tokio, with [`ThreadRandomness`].
pub struct Runtime(TokioRuntime);

impl fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Runtime")
    }
}

impl AsyncRuntime for Runtime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = tokio::task::JoinHandle<T>;
    type Sleep = tokio::time::Sleep;
    type Instant = TokioInstant;
    type TimeoutError = tokio::time::error::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = tokio::time::Timeout<T>;
    type ThreadLocalRng = ThreadRandomness;
    type Mpsc = TokioMpsc;
    type Watch = TokioWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = TokioMutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        join_error.is_panic()
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        ThreadRandomness(TokioRuntime::thread_rng())
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw() -> Vec<u64> {
        let mut randomness = Runtime::thread_rng();
        (0..8).map(|_| randomness.try_next_u64().unwrap()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        seed_randomness(7);
        let first = draw();
        seed_randomness(7);
        assert_eq!(first, draw());
        seed_randomness(8);
        assert_ne!(first, draw());
    }

    #[test]
    fn openraft_accepts_the_runtime() {
        openraft_rt::testing::Suite::<Runtime>::test_all();
    }
}
