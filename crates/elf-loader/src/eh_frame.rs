//! The exception frames (`.eh_frame`), checked, because an unwinder that they are registered with trusts them.

use gimli::{BaseAddresses, CieOrFde, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Pointer};
use gimli::{UnwindSection, constants};

use crate::error::{ErrorKind, Result};
use crate::layout::Image;

const ADVICE: &str = "link it by the compiler's driver (cc -shared) without -nostdlib, which adds the mark";

/// Where the frames are, as addresses of the file.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Of `.eh_frame`.
    pub(crate) start: u64,
    /// Of each function's entry, relative to `start`.
    pub(crate) functions: Vec<u32>,
}

impl Frames {
    /// Finds the frames by `.eh_frame_hdr`; `None` if the object has none.
    pub(crate) fn parse(image: &Image<'_>) -> Result<Option<Self>> {
        let Some(header) = image.layout.frame_header else {
            return Ok(None);
        };
        let malformed = |error: gimli::Error| ErrorKind::malformed(format!("exception frames: {error}"));
        let bytes = image.from(header, "the exception frame header")?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(header);
        let start = match EhFrameHdr::new(bytes, LittleEndian).parse(&bases, 8).map_err(malformed)?.eh_frame_ptr() {
            Pointer::Direct(start) => start,
            Pointer::Indirect(_) => {
                return Err(ErrorKind::malformed("the address of its exception frames is indirect"));
            }
        };
        let bytes = image.mapped(start, "the table of exception frames")?;
        // Elsewhere the unwinder could not read them, or a relocation would change what is checked here.
        if image.layout.segment(start, 1).is_none_or(|s| !s.read || s.write) {
            return Err(ErrorKind::malformed("its exception frames are not in read-only memory"));
        }
        let functions = functions(image, start, bytes)?;
        // Unwinders treat an empty table as none.
        Ok((!functions.is_empty()).then_some(Self { start, functions }))
    }
}

fn functions(image: &Image<'_>, start: u64, bytes: &[u8]) -> Result<Vec<u32>> {
    let malformed = |error: gimli::Error| {
        ErrorKind::malformed(format!("its exception frames are damaged, or have no end mark ({error}); {ADVICE}"))
    };
    let section = EhFrame::new(bytes, LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(start);
    let mut entries = section.entries(&bases);
    let mut functions = Vec::new();
    let mut end = 0;
    while let Some(entry) = entries.next().map_err(malformed)? {
        let (offset, length) = match &entry {
            CieOrFde::Cie(cie) => (cie.offset(), cie.entry_len()),
            CieOrFde::Fde(fde) => (fde.offset(), fde.entry_len()),
        };
        if word(bytes, offset) == Some(u32::MAX) {
            return Err(ErrorKind::malformed("exception frames: 64-bit lengths, which unwinders do not read"));
        }
        end = offset + 4 + length;
        if let CieOrFde::Cie(cie) = &entry {
            check_common(bytes, cie.offset(), cie.version())?;
        }
        if let CieOrFde::Fde(fde) = entry {
            let fde = fde.parse(EhFrame::<EndianSlice<'_, LittleEndian>>::cie_from_offset).map_err(malformed)?;
            check_encoding(fde.cie().fde_address_encoding())?;
            let length = fde.end_address().checked_sub(fde.initial_address());
            if length.is_none_or(|length| image.layout.segment(fde.initial_address(), length).is_none()) {
                return Err(ErrorKind::malformed("an exception frame is for code outside of the object"));
            }
            functions.push(
                u32::try_from(offset)
                    .map_err(|_| ErrorKind::malformed("its exception frames are larger than four gigabytes"))?,
            );
        }
    }
    // Unwinders read on until a zero word, wherever that is.
    if word(bytes, end) == Some(0) {
        Ok(functions)
    } else {
        Err(ErrorKind::malformed(format!("its exception frames have no end mark; {ADVICE}")))
    }
}

/// What libgcc reads as we do: it knows no address sizes (version 4), and gives up at the first letter that it does not know
/// when it looks for `R`, the encoding of addresses.
fn check_common(bytes: &[u8], offset: usize, version: u8) -> Result<()> {
    // After length, identifier and version.
    let augmentation = bytes.get(offset + 9..).unwrap_or_default();
    let known = augmentation
        .strip_prefix(b"z")
        .is_some_and(|letters| letters.iter().find(|letter| !b"PL".contains(letter)) == Some(&b'R'));
    if known && matches!(version, 1 | 3) {
        Ok(())
    } else {
        Err(ErrorKind::malformed("its exception frames are of an unknown kind; compile with -fPIC by gcc or clang"))
    }
}

/// Only addresses relative to their place can be right in every mapping without a relocation.
fn check_encoding(encoding: Option<constants::DwEhPe>) -> Result<()> {
    let fixed_size = [
        constants::DW_EH_PE_absptr,
        constants::DW_EH_PE_udata2,
        constants::DW_EH_PE_udata4,
        constants::DW_EH_PE_udata8,
        constants::DW_EH_PE_sdata2,
        constants::DW_EH_PE_sdata4,
        constants::DW_EH_PE_sdata8,
    ];
    let relative = encoding.is_some_and(|encoding| {
        !encoding.is_indirect()
            && encoding.application() == constants::DW_EH_PE_pcrel
            && fixed_size.contains(&encoding.format())
    });
    if relative {
        Ok(())
    } else {
        Err(ErrorKind::malformed("its exception frames hold absolute addresses; compile with -fPIC"))
    }
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}
