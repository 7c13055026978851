//! The file's headers: what is mapped where, and the bytes at an address of the file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::arch;
use crate::error::{ErrorKind, Result};

/// The most that a segment may span or be aligned to: two gigabytes, as far as position-independent code reaches.
const LIMIT: u64 = 1 << 31;

/// One `PT_LOAD`.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Addresses, as in the file, that it takes in memory.
    pub(crate) memory: Range<u64>,
    /// How many bytes of it come from the file; the rest is zero.
    pub(crate) file_size: u64,
    /// Where they begin in the file.
    pub(crate) file_offset: u64,
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) execute: bool,
}

/// `PT_TLS`: what each thread's block begins with.
#[derive(Debug, Clone)]
pub(crate) struct ThreadLocalTemplate {
    /// Address of the initial values, as in the file.
    pub(crate) address: u64,
    /// Bytes of initial values.
    pub(crate) file_size: u64,
    /// Bytes of the block; the rest is zero.
    pub(crate) size: u64,
    /// A power of two.
    pub(crate) align: u64,
}

/// The program headers, checked.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Ascending; no two share a page.
    pub(crate) segments: Vec<Segment>,
    pub(crate) dynamic: Range<u64>,
    /// Whole pages of one writable segment, read-only once relocated.
    pub(crate) relro: Option<Range<u64>>,
    pub(crate) thread_local: Option<ThreadLocalTemplate>,
    /// Address of `.eh_frame_hdr`.
    pub(crate) frame_header: Option<u64>,
    /// Whole pages from the first segment to the last.
    pub(crate) span: Range<u64>,
    /// Of the whole object in memory; at least a page.
    pub(crate) align: u64,
    /// `PT_INTERP` is there.
    pub(crate) interpreter: bool,
    /// The headers as they are, for those that walk them (`dl_iterate_phdr`).
    pub(crate) headers: Vec<libc::Elf64_Phdr>,
}

impl Layout {
    /// Reads and checks the headers of a file of `length` bytes.
    pub(crate) fn read(file: &File, length: u64) -> Result<Self> {
        let mut head = [0; size_of::<FileHeader64<LE>>()];
        let read = length.min(head.len() as u64) as usize;
        read_at(file, &mut head[..read], 0)?;
        let header = file_header(&head[..read])?;

        let count = header.e_phnum.get(LE);
        if usize::from(header.e_phentsize.get(LE)) != size_of::<ProgramHeader64<LE>>() || count == 0 {
            return Err(ErrorKind::malformed("it has no program headers of the usual size"));
        }
        let size = usize::from(count) * size_of::<ProgramHeader64<LE>>();
        let offset = header.e_phoff.get(LE);
        if offset.checked_add(size as u64).is_none_or(|e| e > length) {
            return Err(ErrorKind::malformed("the program headers lie beyond the file's end"));
        }
        let mut table = vec![0; size];
        read_at(file, &mut table, offset)?;
        let (headers, _) = object::slice_from_bytes::<ProgramHeader64<LE>>(&table, usize::from(count))
            .map_err(|()| ErrorKind::malformed("the program headers cannot be read"))?;
        Self::from_headers(headers, length)
    }

    fn from_headers(headers: &[ProgramHeader64<LE>], length: u64) -> Result<Self> {
        let page = rustix::param::page_size() as u64;
        let mut segments: Vec<Segment> = Vec::new();
        let (mut dynamic, mut relro, mut thread_local, mut frame_header) = (None, None, None, None);
        let (mut align, mut interpreter) = (page, false);
        for header in headers {
            let address = header.p_vaddr(LE);
            let size = header.p_memsz(LE);
            let memory = range(address, size)?;
            match header.p_type(LE) {
                elf::PT_LOAD if size > 0 => {
                    let segment = segment(header, memory, length, page)?;
                    if segments
                        .last()
                        .is_some_and(|last| last.memory.end.next_multiple_of(page) > address & !(page - 1))
                    {
                        return Err(ErrorKind::malformed("segments are out of order or share a page of memory"));
                    }
                    align = align.max(alignment(header.p_align(LE))?);
                    segments.push(segment);
                }
                elf::PT_DYNAMIC => dynamic = Some(memory),
                elf::PT_GNU_RELRO => relro = Some(memory),
                elf::PT_GNU_EH_FRAME => frame_header = Some(address),
                elf::PT_INTERP => interpreter = true,
                elf::PT_TLS => {
                    thread_local = Some(ThreadLocalTemplate {
                        address,
                        file_size: header.p_filesz(LE),
                        size,
                        align: alignment(header.p_align(LE))?,
                    });
                }
                elf::PT_GNU_STACK if header.p_flags(LE).contains(elf::PF_X) => {
                    return Err(ErrorKind::ExecutableStack);
                }
                _ => {}
            }
        }
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
            return Err(ErrorKind::malformed("it has no segment to load"));
        };
        let span = first.memory.start & !(page - 1)..last.memory.end.next_multiple_of(page);
        if span.end - span.start > LIMIT {
            return Err(ErrorKind::malformed("it spans more than two gigabytes"));
        }
        let mut layout = Self {
            dynamic: dynamic.ok_or_else(|| ErrorKind::malformed("it has no dynamic section"))?,
            relro: None,
            thread_local,
            frame_header,
            span,
            align,
            interpreter,
            headers: headers.iter().map(as_libc).collect(),
            segments,
        };
        layout.relro =
            relro.map(|range| layout.relro_pages(range, page)).transpose()?.filter(|range| !range.is_empty());
        layout.check_thread_local()?;
        Ok(layout)
    }

    /// The segment that holds these bytes of memory.
    pub(crate) fn segment(&self, address: u64, size: u64) -> Option<&Segment> {
        let end = address.checked_add(size)?;
        self.segments.iter().find(|s| s.memory.start <= address && end <= s.memory.end)
    }

    /// Whether an instruction can be there.
    pub(crate) fn is_code(&self, address: u64) -> bool {
        self.segment(address, 1).is_some_and(|s| s.execute)
    }

    fn relro_pages(&self, range: Range<u64>, page: u64) -> Result<Range<u64>> {
        let segment = self
            .segment(range.start, 0)
            .filter(|s| s.write)
            .ok_or_else(|| ErrorKind::malformed("the part to make read-only is in no writable segment"))?;
        // It may reach up to the end of the segment's last page (linkers pad it so).
        let limit = segment.memory.end.next_multiple_of(page);
        if range.end > limit {
            return Err(ErrorKind::malformed("the part to make read-only leaves its segment"));
        }
        Ok(range.start & !(page - 1)..range.end & !(page - 1))
    }

    fn check_thread_local(&self) -> Result<()> {
        let Some(template) = &self.thread_local else {
            return Ok(());
        };
        let inside = template.file_size <= template.size
            && template.size <= LIMIT
            && self.segment(template.address, template.file_size).is_some_and(|s| s.read);
        // An empty template may have any address.
        if inside || (template.file_size == 0 && template.size <= LIMIT) {
            Ok(())
        } else {
            Err(ErrorKind::malformed("the thread-local template is in no segment"))
        }
    }
}

/// The file's bytes as far as segments take them, by address.
pub(crate) struct Image<'a> {
    pub(crate) layout: &'a Layout,
    bytes: Vec<u8>,
}

impl<'a> Image<'a> {
    pub(crate) fn read(file: &File, layout: &'a Layout) -> Result<Self> {
        let end =
            layout.segments.iter().filter(|s| s.file_size > 0).map(|s| s.file_offset + s.file_size).max().unwrap_or(0);
        let mut bytes = Vec::new();
        let size = usize::try_from(end).map_err(|_| ErrorKind::malformed("it is too large"))?;
        bytes.try_reserve_exact(size).map_err(|_| ErrorKind::malformed("it is too large for this machine's memory"))?;
        bytes.resize(size, 0);
        read_at(file, &mut bytes, 0)?;
        Ok(Self { layout, bytes })
    }

    /// All bytes from `address` to the end of what its segment has in the file.
    pub(crate) fn from(&self, address: u64, what: &str) -> Result<&[u8]> {
        self.layout
            .segment(address, 0)
            .and_then(|s| {
                let skip = address - s.memory.start;
                let start = usize::try_from(s.file_offset + skip).ok()?;
                let end = usize::try_from(s.file_offset + s.file_size).ok()?;
                self.bytes.get(start..end)
            })
            .ok_or_else(|| ErrorKind::malformed(format!("{what} is outside of the file")))
    }

    /// As [`from`](Self::from), and what else of the file comes into memory with the segment's last page.
    pub(crate) fn mapped(&self, address: u64, what: &str) -> Result<&[u8]> {
        let own = self.from(address, what)?;
        let page = rustix::param::page_size() as u64;
        let end = (address + own.len() as u64).next_multiple_of(page);
        let start = own.as_ptr().addr() - self.bytes.as_ptr().addr();
        let last = (start + (end - address) as usize).min(self.bytes.len());
        Ok(&self.bytes[start..last])
    }

    /// `size` bytes at `address`.
    pub(crate) fn at(&self, address: u64, size: u64, what: &str) -> Result<&[u8]> {
        usize::try_from(size)
            .ok()
            .and_then(|size| self.from(address, what).ok()?.get(..size))
            .ok_or_else(|| ErrorKind::malformed(format!("{what} is outside of the file")))
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<()> {
    file.read_exact_at(buffer, offset).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            ErrorKind::Changed
        } else {
            ErrorKind::System { what: "read", error }
        }
    })
}

fn file_header(head: &[u8]) -> Result<&FileHeader64<LE>> {
    if !head.starts_with(&elf::ELFMAG) {
        return Err(ErrorKind::NotElf);
    }
    // These two bytes say how to read all others, so they come first.
    if head.get(4) == Some(&elf::ELFCLASS32.0) {
        return Err(ErrorKind::WrongClass);
    }
    if head.get(5) == Some(&elf::ELFDATA2MSB.0) {
        return Err(ErrorKind::WrongByteOrder);
    }
    let header =
        FileHeader64::<LE>::parse(head).map_err(|error| ErrorKind::malformed(format!("its header: {error}")))?;
    let machine = header.e_machine(LE);
    if machine != arch::MACHINE {
        return Err(ErrorKind::WrongMachine {
            found: match machine {
                elf::EM_X86_64 => "x86-64".to_owned(),
                elf::EM_AARCH64 => "AArch64".to_owned(),
                elf::EM_RISCV => "RISC-V".to_owned(),
                other => format!("machine number {}", other.0),
            },
            expected: arch::MACHINE_NAME,
        });
    }
    match header.e_type(LE) {
        elf::ET_DYN => Ok(header),
        elf::ET_EXEC => Err(ErrorKind::NotShared("an executable")),
        elf::ET_REL => Err(ErrorKind::NotShared("an object file that is not linked")),
        elf::ET_CORE => Err(ErrorKind::NotShared("a core dump")),
        _ => Err(ErrorKind::NotShared("of an unknown type")),
    }
}

fn segment(header: &ProgramHeader64<LE>, memory: Range<u64>, length: u64, page: u64) -> Result<Segment> {
    let flags = header.p_flags(LE);
    let file = range(header.p_offset(LE), header.p_filesz(LE))?;
    let segment = Segment {
        file_size: file.end - file.start,
        file_offset: file.start,
        read: flags.contains(elf::PF_R),
        write: flags.contains(elf::PF_W),
        execute: flags.contains(elf::PF_X),
        memory,
    };
    let size = segment.memory.end - segment.memory.start;
    if segment.file_size > 0 && file.end > length {
        return Err(ErrorKind::malformed("a segment lies beyond the file's end (is it cut off?)"));
    }
    if segment.file_size > size || (segment.file_size < size && !segment.write) {
        return Err(ErrorKind::malformed("a segment's sizes in memory and in the file do not fit"));
    }
    if segment.file_size > 0 && segment.memory.start % page != file.start % page {
        return Err(ErrorKind::malformed(format!("a segment is not aligned to this machine's pages of {page} bytes")));
    }
    if segment.write && segment.execute {
        return Err(ErrorKind::WritableCode);
    }
    Ok(segment)
}

/// `size` bytes from `start`, whose end can be rounded up to any page without overflow.
fn range(start: u64, size: u64) -> Result<Range<u64>> {
    match start.checked_add(size) {
        Some(end) if end < i64::MAX as u64 => Ok(start..end),
        _ => Err(ErrorKind::malformed("a program header's end is beyond all memory")),
    }
}

fn alignment(align: u64) -> Result<u64> {
    let align = align.max(1);
    if align.is_power_of_two() && align <= LIMIT {
        Ok(align)
    } else {
        Err(ErrorKind::malformed("an alignment is no power of two"))
    }
}

fn as_libc(header: &ProgramHeader64<LE>) -> libc::Elf64_Phdr {
    libc::Elf64_Phdr {
        p_type: header.p_type(LE).0,
        p_flags: header.p_flags(LE).0,
        p_offset: header.p_offset(LE),
        p_vaddr: header.p_vaddr(LE),
        p_paddr: header.p_paddr.get(LE),
        p_filesz: header.p_filesz(LE),
        p_memsz: header.p_memsz(LE),
        p_align: header.p_align(LE),
    }
}
