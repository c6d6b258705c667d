// The files that commands read, given to Go's runtime as it expects them: by the callbacks of Node's fs. Nothing can be written but
// what Go itself prints when it panics.
const error = (code) => Object.assign(new Error(code), { code })

/** Makes globalThis.fs of an object with the text of each file by its name, which may change later. */
export function provideFiles(files) {
  const open = new Map()
  let next = 10
  const decoder = new TextDecoder()
  const never = (...args) => args.at(-1)(error('ENOSYS'))
  const stat = {
    dev: 0, ino: 0, mode: 0o100444, nlink: 1, uid: 0, gid: 0, rdev: 0, blksize: 4096, blocks: 0, atimeMs: 0, mtimeMs: 0, ctimeMs: 0,
    isDirectory: () => false,
  }
  globalThis.fs = {
    constants: { O_WRONLY: 1, O_RDWR: 2, O_CREAT: 64, O_TRUNC: 512, O_APPEND: 1024, O_EXCL: 128, O_DIRECTORY: 65536 },
    writeSync(fd, bytes) {
      console.error(decoder.decode(bytes))
      return bytes.length
    },
    write(fd, bytes, offset, length, position, callback) {
      callback(null, this.writeSync(fd, bytes.subarray(offset, offset + length)))
    },
    open(path, flags, mode, callback) {
      const text = files[path.split('/').at(-1)]
      if (text === undefined) return callback(error('ENOENT'))
      open.set(++next, { bytes: new TextEncoder().encode(text), at: 0 })
      callback(null, next)
    },
    read(fd, into, offset, length, position, callback) {
      const file = open.get(fd)
      if (!file) return callback(error('EBADF'))
      const from = position ?? file.at
      const part = file.bytes.subarray(from, from + length)
      into.set(part, offset)
      file.at = from + part.length
      callback(null, part.length)
    },
    fstat: (fd, callback) => callback(null, { ...stat, size: open.get(fd)?.bytes.length ?? 0 }),
    stat: (path, callback) => callback(error('ENOENT')),
    lstat: (path, callback) => callback(error('ENOENT')),
    close(fd, callback) {
      open.delete(fd)
      callback(null)
    },
    ...Object.fromEntries(['chmod', 'chown', 'fchmod', 'fchown', 'fsync', 'ftruncate', 'lchown', 'link', 'mkdir', 'readdir', 'readlink',
      'rename', 'rmdir', 'symlink', 'truncate', 'unlink', 'utimes'].map((name) => [name, never])),
  }
}
