//! placeholder module body is filled by the next commit
