#include "kv/session_file.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "io/checksum.h"
#include "kv/recovery.h"

namespace ev::kv {
namespace {

std::string_view text(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

void check_same(const io::SessionHeader& found, const io::SessionHeader& wanted) {
  if (found == wanted) return;
  io::SessionHeader other = found;
  other.element_bytes = wanted.element_bytes;
  if (other == wanted)
    throw Error(ErrorCode::kBadModel, std::string("session file: it keeps ") + found.type_name() +
                                          " keys and values, this model was opened with " +
                                          wanted.type_name());
  throw Error(ErrorCode::kBadModel, "session file: made with another model or other KV settings");
}

}  // namespace

Cell::~Cell() {
  if (!retired) return;
  const std::lock_guard<std::mutex> lock(free_->mutex);
  free_->numbers.push_back(number);  // has room: take_number()
}

SessionFile::SessionFile(const std::string& path, const io::SessionHeader& header, const io::FileCalls& calls)
    : file_(path, calls), header_(header) {
  const io::SessionBlock want = io::encode(header);
  io::SessionBlock block{};
  const size_t read = file_.read(block.data(), block.size(), 0);
  if (read < block.size() && std::equal(want.begin(), want.begin() + read, block.begin())) {  // new, or torn
    file_.write(want.data(), want.size(), 0);
    return;
  }
  check_same(io::parse_session_header(text(block.data(), read)), header);
  // The last one may lack pages it does not use.
  cells_ = (file_.size() - io::kSessionBlock + header_.cell_bytes() - 1) / header_.cell_bytes();
  free_->numbers.reserve(cells_);
}

Recovered SessionFile::recover() {
  std::vector<std::shared_ptr<Cell>> found = scan();
  const auto serial = [](const auto& a, const auto& b) { return a->header.serial < b->header.serial; };
  const auto newest = std::max_element(found.begin(), found.end(), serial);
  if (newest != found.end()) serial_ = (*newest)->header.serial;
  Recovered chosen = choose_cells({found.begin(), found.end()}, header_.sinks,
                                  [this](const Cell& cell) { return whole(cell); });
  for (std::shared_ptr<Cell>& cell : found) {
    const auto kept = [&cell](const std::vector<CellPtr>& list) {
      return std::find(list.begin(), list.end(), cell) != list.end();
    };
    if (!kept(chosen.sinks) && !kept(chosen.segments) && !kept(chosen.tail)) retire(cell);
  }
  return chosen;
}

std::vector<std::shared_ptr<Cell>> SessionFile::scan() {
  std::vector<std::shared_ptr<Cell>> found;
  for (uint64_t number = 0; number < cells_; ++number) {
    std::shared_ptr<Cell> cell = read_cell(number);
    if (cell) {
      found.push_back(std::move(cell));
    } else {
      free_->numbers.push_back(number);
    }
  }
  return found;
}

std::shared_ptr<Cell> SessionFile::read_cell(uint64_t number) {
  io::SessionBlock block{};
  const uint64_t at = header_.cell_at(number);
  io::CellHeader header;
  const size_t read = file_.read(block.data(), block.size(), at);
  if (!io::parse_cell_header(text(block.data(), read), header_, header)) return nullptr;
  std::vector<uint8_t> bytes(header.index_bytes);
  if (file_.read(bytes.data(), bytes.size(), at + io::kSessionBlock) != bytes.size() ||
      io::checksum(bytes.data(), bytes.size()) != header.index_sum)
    return nullptr;
  try {
    auto cell = std::make_shared<Cell>(number, free_);
    cell->header = header;
    cell->index = decode_index(text(bytes.data(), bytes.size()), header_, header);
    return cell;
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kBadModel) throw;
    return nullptr;
  }
}

bool SessionFile::whole(const Cell& cell) const {
  const AlignedBuffer unit(header_.unit_bytes());
  try {
    for (uint32_t layer = 0; layer < header_.layers; ++layer)
      for (uint32_t page = 0; page < cell.header.pages(header_); ++page) read(cell, layer, page, unit.data());
    return true;
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kIo) throw;
    return false;
  }
}

CellPtr SessionFile::write(const PageLayout& layout, io::CellHeader header, SegmentPtr segment,
                           const std::vector<const uint8_t*>& pages) {
  auto cell = std::make_shared<Cell>(take_number(), free_);
  cell->retired = true;  // until it is whole
  const AlignedBuffer unit(header_.unit_bytes());
  cell->index.segment = std::move(segment);
  for (uint32_t layer = 0; layer < layout.n_layers; ++layer) {
    for (uint32_t page = 0; page < pages.size(); ++page) {
      std::memcpy(unit.data(), pages[page] + layer * layout.layer_bytes(), layout.layer_bytes());
      cell->index.sums.push_back(io::checksum(unit.data(), unit.size()));
      file_.write(unit.data(), unit.size(), header_.unit_at(cell->number, layer, page));
    }
  }
  const std::vector<uint8_t> index = encode_index(cell->index);
  const uint64_t at = header_.cell_at(cell->number);
  file_.write(index.data(), index.size(), at + io::kSessionBlock);
  header.index_bytes = static_cast<uint32_t>(index.size());
  header.index_sum = io::checksum(index.data(), index.size());
  const io::SessionBlock block = io::encode(header);
  file_.write(block.data(), block.size(), at);
  cell->header = header;
  cell->retired = false;
  return cell;
}

void SessionFile::retire(const CellPtr& cell) {
  erase_header(cell->number);
  std::const_pointer_cast<Cell>(cell)->retired = true;
}

void SessionFile::erase_header(uint64_t number) {
  const io::SessionBlock nothing{};
  file_.write(nothing.data(), nothing.size(), header_.cell_at(number));
}

uint64_t SessionFile::take_number() {
  const std::lock_guard<std::mutex> lock(free_->mutex);
  if (!free_->numbers.empty()) {
    const uint64_t number = free_->numbers.back();
    free_->numbers.pop_back();
    return number;
  }
  free_->numbers.reserve(cells_ + 1);  // so that a cell's destructor needs no memory
  return cells_++;
}

void SessionFile::read(const Cell& cell, uint32_t layer, uint32_t page, uint8_t* to) const {
  const size_t bytes = header_.unit_bytes();
  const uint32_t pages = cell.header.pages(header_);
  if (file_.read(to, bytes, header_.unit_at(cell.number, layer, page)) != bytes)
    throw Error(ErrorCode::kIo, file_.path() + ": the session file ends too early");
  if (io::checksum(to, bytes) != cell.index.sums[size_t{layer} * pages + page])
    throw Error(ErrorCode::kIo, file_.path() + ": the session file is damaged");
}

AlignedBuffer SessionFile::read_page(const PageLayout& layout, const Cell& cell, uint32_t page) const {
  AlignedBuffer out(layout.page_bytes()), unit(header_.unit_bytes());
  for (uint32_t layer = 0; layer < layout.n_layers; ++layer) {
    read(cell, layer, page, unit.data());
    std::memcpy(out.data() + layer * layout.layer_bytes(), unit.data(), layout.layer_bytes());
  }
  return out;
}

void SessionFile::expect_reads(const Cell& cell, uint32_t layer, uint32_t first_page, uint32_t pages) const {
  file_.expect_reads(header_.unit_at(cell.number, layer, first_page), pages * header_.unit_bytes());
}

}  // namespace ev::kv
