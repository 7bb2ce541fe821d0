// A session file under way: cells written, found again after whatever ended the last process, read and
// retired.
//
// A killed process loses nothing that write() has returned; a power cut may lose what was written since the
// last sync(). Either way what is damaged is found by its checksums and left out.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "io/file.h"
#include "io/session_format.h"
#include "kv/page_pool.h"
#include "kv/segment_codec.h"

namespace ev::kv {

// Numbers of cells that may be written; cells that nobody holds any more return here.
struct FreeCells {
  std::mutex mutex;
  std::vector<uint64_t> numbers;
};

// Tokens in a file. Held by every cache that may read them; the place is reused once the cell is retired and
// nobody holds it.
struct Cell {
  Cell(uint64_t number_in, std::shared_ptr<FreeCells> free) : number(number_in), free_(std::move(free)) {}
  ~Cell();
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  uint64_t end() const { return header.first_position + header.tokens; }

  const uint64_t number;
  io::CellHeader header;
  CellIndex index;
  bool retired = false;  // written by the owner of the file alone

 private:
  std::shared_ptr<FreeCells> free_;
};

using CellPtr = std::shared_ptr<const Cell>;

// What a session resumes from, each list in order of position: plain cells of the first `sinks` tokens (or of
// the fewer there are), a gapless run of sealed segments, plain cells that follow it.
struct Recovered {
  std::vector<CellPtr> sinks, segments, tail;
};

class SessionFile {
 public:
  // Makes the file, or opens one that was made for the same `header`. Throws Error(kIo) when the system
  // refuses or another process has it, Error(kBadModel) for any other file, which is left as it is.
  SessionFile(const std::string& path, const io::SessionHeader& header, const io::FileCalls& calls = {});

  // Finds what is whole, with all its bytes checked, and retires the rest. Once, before anything is written.
  Recovered recover();

  // A serial greater than all before.
  uint64_t next_serial() { return ++serial_; }
  // Writes the tokens in `pages` (whole pages of `layout`); header.index_* are filled in. Throws Error(kIo);
  // the cell then does not exist.
  CellPtr write(const PageLayout& layout, io::CellHeader header, SegmentPtr segment,
                const std::vector<const uint8_t*>& pages);
  // The cell will not be found again.
  void retire(const CellPtr& cell);

  // One layer of a cell's page into unit_bytes() at `to`. Throws Error(kIo) when it cannot be read or its
  // checksum is wrong. Thread-safe, as are the next three.
  void read(const Cell& cell, uint32_t layer, uint32_t page, uint8_t* to) const;
  // All layers of a page, as they lie in a pool.
  AlignedBuffer read_page(const PageLayout& layout, const Cell& cell, uint32_t page) const;
  void expect_reads(const Cell& cell, uint32_t layer, uint32_t first_page, uint32_t pages) const;
  const io::SessionHeader& header() const { return header_; }

  void sync() { file_.sync(); }
  const std::string& path() const { return file_.path(); }

 private:
  uint64_t take_number();
  std::vector<std::shared_ptr<Cell>> scan();
  std::shared_ptr<Cell> read_cell(uint64_t number);
  bool whole(const Cell& cell) const;
  void erase_header(uint64_t number);

  io::File file_;
  io::SessionHeader header_;
  std::shared_ptr<FreeCells> free_ = std::make_shared<FreeCells>();
  uint64_t cells_ = 0;  // that the file has room for
  uint64_t serial_ = 0;
};

}  // namespace ev::kv
