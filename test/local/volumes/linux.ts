/** Numbers of Linux that the tests of volumes use. */
export const [EPERM, ENOENT, EBADF, EEXIST, EXDEV, ENOTDIR] = [1, 2, 9, 17, 18, 20] as const;
export const [EINVAL, EMFILE, EROFS, ENAMETOOLONG, ENOTEMPTY, EOPNOTSUPP] = [22, 24, 30, 36, 39, 95] as const;
export const [O_WRONLY, O_RDWR, O_EXCL, O_TRUNC, O_APPEND] = [1, 2, 0o200, 0o1000, 0o2000] as const;
export const O_CREAT = 0o100;
