//! What a Dockerfile may be at most. Whoever exceeds one is told which.

/// Bytes of a Dockerfile.
pub const FILE: usize = 4 << 20;
/// Bytes of one line of the file, and of lines that continuations make one.
pub const LINE: usize = 1 << 20;
/// Instructions of a Dockerfile, `FROM` included.
pub const INSTRUCTIONS: usize = 32_768;
/// Stages of a Dockerfile.
pub const STAGES: usize = 4096;
/// Here-documents of one instruction.
pub const HEREDOCS: usize = 256;
/// Bytes that the expansion of one word may come to.
pub const EXPANDED: usize = 16 << 20;
/// How deep `${a:-${b:-…}}` may nest.
pub const NESTING: usize = 64;
/// Bytes of a `.dockerignore`.
pub const IGNORE_FILE: usize = 4 << 20;
/// Patterns of a `.dockerignore`.
pub const PATTERNS: usize = 65_536;
/// Bytes of one pattern.
pub const PATTERN: usize = 4096;
