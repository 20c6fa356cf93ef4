//! git, read only through afk's own bare mirrors.
