// What generation may say next. A constraint follows the text token by token and allows exactly the tokens
// that keep it the beginning of a valid output.
//
//   loop:  constraint.mask(allowed);  token = sampler.sample(logits, n, &allowed);
//          if end token: stop;  constraint.accept(token);  if constraint.done(): stop
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "decoder/vocabulary.h"

namespace ev::decoder {

// One bit per token.
class TokenMask {
 public:
  explicit TokenMask(int32_t size) : words_((static_cast<size_t>(size) + 63) / 64), size_(size) {}
  int32_t size() const { return size_; }
  void clear() { words_.assign(words_.size(), 0); }
  void set(TokenId id) { words_[static_cast<size_t>(id) >> 6] |= uint64_t{1} << (id & 63); }
  bool test(TokenId id) const { return (words_[static_cast<size_t>(id) >> 6] >> (id & 63) & 1) != 0; }
  bool operator==(const TokenMask& other) const { return words_ == other.words_; }
  const std::vector<uint64_t>& words() const { return words_; }  // bits beyond size() are 0

 private:
  std::vector<uint64_t> words_;
  int32_t size_;
};

// Not thread-safe; a clone is independent of its origin.
class Constraint {
 public:
  virtual ~Constraint() = default;
  // Sets `allowed` (of the vocabulary's size) to the tokens that may come next; the end tokens among them
  // exactly when the text so far is a whole valid output. Throws Error(kInvalidArgument) when a limit of the
  // matcher is reached.
  virtual void mask(TokenMask& allowed) = 0;
  // Moves on by one token. Throws Error(kInvalidArgument), changing nothing, when mask() would not have
  // allowed it.
  virtual void accept(TokenId token) = 0;
  // The text is whole and nothing may follow, or an end token was accepted: generation is over.
  virtual bool done() const = 0;
  virtual std::unique_ptr<Constraint> clone() const = 0;
};

}  // namespace ev::decoder
