//! Giving memory back to the kernel.

/// Gives back free heap, unused stack of the main thread, and the program's code and constants, all of which comes
/// back when it is touched (`madvise(2)`, `malloc_trim(3)`). For a process that did a lot at its start and
/// then mostly sleeps; some 50 µs, and page faults afterwards.
pub fn release() {
    crate::raw::memory::release();
}
