//! Giving memory back to the kernel.

use std::ops::Range;

use rustix::io::Errno;

/// Room left below the current frame: the red zone, and the frames of the calls made here.
const STACK_MARGIN: usize = 16 * 1024;

const PAGE: usize = 4096;

/// Free heap, unused stack, and the program's own code and constants. All of it comes back when it is touched.
pub(crate) fn release() {
    let ranges = droppable(&std::fs::read_to_string("/proc/self/maps").unwrap_or_default(), here());
    for range in ranges {
        // SAFETY: MADV_DONTNEED loses only what was written to private pages. `droppable` gives nothing but
        // (1) mappings of this program's file that can't be written, which the kernel reads from the file
        // again, and (2) the main thread's stack below the current frame with a margin, which is dead.
        unsafe { libc::madvise(range.start as *mut libc::c_void, range.len(), libc::MADV_DONTNEED) };
    }
    trim();
}

/// Larger pieces are mappings of their own: what the allocator starts with, and would raise.
const LARGE: libc::c_int = 128 * 1024;

/// Keeps the size from which on memory is mapped, and unmapped when it is freed.
pub(crate) fn fix_threshold() {
    // SAFETY: takes no pointer; sets a parameter of the allocator.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Free heap.
pub(crate) fn trim() {
    // SAFETY: takes no pointer; it gives back what is on the allocator's own free lists.
    unsafe { libc::malloc_trim(0) };
}

/// The program's code and constants, as one range.
pub(crate) fn code() -> Range<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    // no stack is at address 0: only code is found
    let ranges = droppable(&maps, 0);
    let start = ranges.first().map_or(0, |range| range.start);
    start..ranges.last().map_or(start, |range| range.end)
}

/// Makes the pages that [`doze`] needs mappings of their own, for a page fault maps up to 64 KiB of the same mapping.
pub(crate) fn isolate(code: &Range<usize>) {
    for function in
        [doze as *const () as usize, libc::madvise as *const () as usize, libc::poll as *const () as usize]
    {
        let start = function & !(PAGE - 1);
        let end = (function + 256).next_multiple_of(PAGE);
        if code.start <= start && end <= code.end {
            // SAFETY: loses nothing: it only says how the file is to be read ahead.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_RANDOM) };
        }
    }
}

/// Gives `code` back and waits until `fd` can be read, or has hung up. This function and the two calls are all that is
/// touched: keep it so.
///
/// # Errors
/// What `poll(2)` says; a signal does.
#[inline(never)]
pub(crate) fn doze(code: Range<usize>, fd: libc::c_int) -> Result<(), Errno> {
    let (start, length) = (code.start, code.end - code.start);
    let mut wanted = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: the range is that of the program's file, mapped so that it can't be written: it is read again from there.
    unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    // SAFETY: one structure, which lives through the call.
    let ready = unsafe { libc::poll(&raw mut wanted, 1, -1) };
    super::check(ready.into()).map(drop)
}

/// An address in the caller's frame.
#[inline(never)]
fn here() -> usize {
    let local = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&local)) as usize
}

/// What `maps` (`proc_pid_maps(5)`) says may be dropped with the stack pointer at `stack`: the code and what lies
/// before it in the program (constants). What lies behind is relocated data that was made read-only.
fn droppable(maps: &str, stack: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut constants = Vec::new();
    let mut program = None;
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(mode)) = (fields.next().and_then(parse_range), fields.next()) else {
            continue;
        };
        let name = fields.nth(3).unwrap_or_default();
        // the kernel lists addresses in order, and a static program lies lowest
        let ours = *program.get_or_insert(name) == name && name.starts_with('/');
        match mode {
            "r--p" if ours => constants.push(range),
            "r-xp" if ours => {
                ranges.append(&mut constants);
                ranges.push(range);
            }
            _ if name == "[stack]" && range.contains(&stack) => {
                let end = stack.saturating_sub(STACK_MARGIN) & !(PAGE - 1);
                ranges.push(range.start..end.max(range.start));
            }
            _ => {}
        }
    }
    ranges
}

fn parse_range(text: &str) -> Option<Range<usize>> {
    let (start, end) = text.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_constants_and_dead_stack() {
        let maps = "\
00200000-00345000 r--p 00000000 fe:00 5752271    /bin/x
00345000-00653000 r-xp 00144000 fe:00 5752271    /bin/x
00653000-00658000 r--p 00451000 fe:00 5752271    /bin/x
00658000-0065c000 rw-p 00455000 fe:00 5752271    /bin/x
1990a000-1992c000 rw-p 00000000 00:00 0          [heap]
7f0000000000-7f0000001000 r-xp 00000000 fe:00 9  /lib/y
7fff421ca000-7fff421eb000 rw-p 00000000 00:00 0  [stack]
";
        let want = [0x200000..0x345000, 0x345000..0x653000, 0x7fff421ca000..0x7fff421e4000];
        assert_eq!(droppable(maps, 0x7fff421e8123), want);
    }

    #[test]
    fn a_dozing_program_wakes() {
        let code = code();
        assert!(code.contains(&(doze as *const () as usize)));
        isolate(&code);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        doze(code, std::os::fd::AsRawFd::as_raw_fd(&reader)).unwrap();
    }

    #[test]
    fn the_program_goes_on() {
        let kept = vec![7_u8; 100_000];
        release();
        assert!(kept.iter().all(|&byte| byte == 7));
    }
}
