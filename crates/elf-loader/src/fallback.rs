//! Names of a newer C library that an older one has under another name.

/// What to look for where the host lacks `name`. The answer may itself be missing, and have another fallback.
///
/// C23 reads `0b1010` as a binary number, so glibc 2.38 gave these functions new names, and compilers of its time refer to
/// them; the older functions differ in nothing else. `__isoc99_` marks the functions without GNU's `%a` extension.
pub fn host_fallback(name: &str) -> Option<&'static str> {
    const PAIRS: &[(&str, &str)] = &[
        ("__isoc23_fscanf", "__isoc99_fscanf"),
        ("__isoc23_fwscanf", "__isoc99_fwscanf"),
        ("__isoc23_scanf", "__isoc99_scanf"),
        ("__isoc23_sscanf", "__isoc99_sscanf"),
        ("__isoc23_strtoimax", "strtoimax"),
        ("__isoc23_strtol", "strtol"),
        ("__isoc23_strtol_l", "strtol_l"),
        ("__isoc23_strtoll", "strtoll"),
        ("__isoc23_strtoll_l", "strtoll_l"),
        ("__isoc23_strtoul", "strtoul"),
        ("__isoc23_strtoul_l", "strtoul_l"),
        ("__isoc23_strtoull", "strtoull"),
        ("__isoc23_strtoull_l", "strtoull_l"),
        ("__isoc23_strtoumax", "strtoumax"),
        ("__isoc23_swscanf", "__isoc99_swscanf"),
        ("__isoc23_vfscanf", "__isoc99_vfscanf"),
        ("__isoc23_vfwscanf", "__isoc99_vfwscanf"),
        ("__isoc23_vscanf", "__isoc99_vscanf"),
        ("__isoc23_vsscanf", "__isoc99_vsscanf"),
        ("__isoc23_vswscanf", "__isoc99_vswscanf"),
        ("__isoc23_vwscanf", "__isoc99_vwscanf"),
        ("__isoc23_wcstoimax", "wcstoimax"),
        ("__isoc23_wcstol", "wcstol"),
        ("__isoc23_wcstol_l", "wcstol_l"),
        ("__isoc23_wcstoll", "wcstoll"),
        ("__isoc23_wcstoll_l", "wcstoll_l"),
        ("__isoc23_wcstoul", "wcstoul"),
        ("__isoc23_wcstoul_l", "wcstoul_l"),
        ("__isoc23_wcstoull", "wcstoull"),
        ("__isoc23_wcstoull_l", "wcstoull_l"),
        ("__isoc23_wcstoumax", "wcstoumax"),
        ("__isoc23_wscanf", "__isoc99_wscanf"),
        ("__isoc99_fscanf", "fscanf"),
        ("__isoc99_fwscanf", "fwscanf"),
        ("__isoc99_scanf", "scanf"),
        ("__isoc99_sscanf", "sscanf"),
        ("__isoc99_swscanf", "swscanf"),
        ("__isoc99_vfscanf", "vfscanf"),
        ("__isoc99_vfwscanf", "vfwscanf"),
        ("__isoc99_vscanf", "vscanf"),
        ("__isoc99_vsscanf", "vsscanf"),
        ("__isoc99_vswscanf", "vswscanf"),
        ("__isoc99_vwscanf", "vwscanf"),
        ("__isoc99_wscanf", "wscanf"),
        ("fcntl64", "fcntl"),
        ("fstat64", "fstat"),
        ("fstatat64", "fstatat"),
        ("lstat64", "lstat"),
        ("stat64", "stat"),
    ];
    let at = PAIRS.binary_search_by(|(newer, _)| (*newer).cmp(name));
    at.ok().map(|at| PAIRS[at].1)
}

#[cfg(test)]
mod tests {
    use super::host_fallback;

    #[test]
    fn every_entry_is_found() {
        assert_eq!(host_fallback("__isoc23_strtol"), Some("strtol"));
        assert_eq!(host_fallback("__isoc23_fscanf"), Some("__isoc99_fscanf"));
        assert_eq!(host_fallback("__isoc99_fscanf"), Some("fscanf"));
        assert_eq!(host_fallback("stat64"), Some("stat"));
        assert_eq!(host_fallback("strtol"), None);
    }
}
