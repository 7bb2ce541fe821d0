// edgevid._native.TokenChooser: logits -> the next token, under an optional constraint.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "decoder/choices.h"
#include "decoder/grammar.h"
#include "decoder/sampler.h"
#include "decoder/tokenizer.h"
#include "python/array.h"

namespace ev::python {
namespace {

namespace py = pybind11;
using decoder::TokenId;
using decoder::Tokenizer;

std::unique_ptr<decoder::Constraint> make_constraint(const std::shared_ptr<Tokenizer>& tokenizer,
                                                     const std::vector<std::string>& choices,
                                                     const std::optional<std::string>& grammar) {
  if (choices.empty() && !grammar) return nullptr;
  if (!choices.empty() && grammar)
    throw Error(ErrorCode::kInvalidArgument, "give choices or a grammar, not both");
  if (!tokenizer) throw Error(ErrorCode::kInvalidArgument, "a constraint needs the model's tokenizer");
  return grammar ? decoder::make_grammar(tokenizer, *grammar) : decoder::make_choices(tokenizer, choices);
}

class TokenChooser {
 public:
  TokenChooser(std::shared_ptr<Tokenizer> tokenizer, const decoder::SamplerOptions& options,
               const std::vector<std::string>& choices, const std::optional<std::string>& grammar)
      : tokenizer_(std::move(tokenizer)),
        sampler_(options),
        constraint_(make_constraint(tokenizer_, choices, grammar)),
        allowed_(tokenizer_ ? tokenizer_->size() : 0) {}

  TokenId choose(const Floats& logits) {
    if (logits.ndim() != 2 || logits.shape(0) != 1)
      throw Error(ErrorCode::kInvalidArgument, "logits must be one row, [1, vocab]");
    const float* row = logits.data();
    auto count = static_cast<size_t>(logits.shape(1));
    const py::gil_scoped_release unlocked;
    if (tokenizer_)
      count = std::min(count, static_cast<size_t>(tokenizer_->size()));  // files may pad the head
    if (!constraint_) return sampler_.sample(row, count);
    constraint_->mask(allowed_);
    const TokenId token = sampler_.sample(row, count, &allowed_);
    constraint_->accept(token);
    return token;
  }

  bool done() const { return constraint_ && constraint_->done(); }

 private:
  std::shared_ptr<Tokenizer> tokenizer_;
  decoder::Sampler sampler_;
  std::unique_ptr<decoder::Constraint> constraint_;
  decoder::TokenMask allowed_;
};

}  // namespace

void bind_chooser(py::module_& m) {
  py::class_<TokenChooser>(m, "TokenChooser", "Chooses tokens from logits; not to be shared between threads.")
      .def(py::init([](std::shared_ptr<Tokenizer> tokenizer, double temperature, double top_p, uint64_t seed,
                       const std::vector<std::string>& choices, const std::optional<std::string>& grammar) {
             decoder::SamplerOptions options;
             options.temperature = temperature;
             options.top_p = top_p;
             options.seed = seed;
             return std::make_unique<TokenChooser>(std::move(tokenizer), options, choices, grammar);
           }),
           py::arg("tokenizer").none(true), py::kw_only(), py::arg("temperature") = 0.0,
           py::arg("top_p") = 1.0, py::arg("seed") = 0, py::arg("choices") = std::vector<std::string>(),
           py::arg("grammar") = py::none())
      .def("choose", &TokenChooser::choose, py::arg("logits"),
           "The next token for logits float32 [1, vocab].")
      .def_property_readonly("done", &TokenChooser::done, "The constraint allows nothing more.");
}

}  // namespace ev::python
