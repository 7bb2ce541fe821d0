// edgevid._native: what is in a GGUF file, its tokenizer, and constraints over its tokens.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>

#include "decoder/choices.h"
#include "decoder/grammar.h"
#include "decoder/tokenizer.h"
#include "io/gguf.h"

namespace ev::python {
namespace {

namespace py = pybind11;
using decoder::Constraint;
using decoder::TokenId;
using decoder::Tokenizer;
using decoder::TokenMask;

// Names in a file may be any bytes: what is not UTF-8 becomes U+FFFD.
py::str text_of(const std::string& bytes) {
  return py::bytes(bytes).attr("decode")("utf-8", "replace");
}

py::object string_or_none(const io::GgufFile& file, const char* key) {
  return file.find(key) == nullptr ? py::object(py::none()) : text_of(file.get_string(key));
}

py::dict gguf_info(const std::string& path) {
  std::unique_ptr<io::GgufFile> file;
  {
    py::gil_scoped_release unlocked;
    file = io::GgufFile::open(path);
  }
  std::map<std::string, int> types;
  for (const io::GgufTensor& tensor : file->tensors()) ++types[dtype_name(tensor.type)];
  py::dict info;
  info["version"] = file->version();
  info["bytes"] = file->size();
  info["architecture"] = string_or_none(*file, "general.architecture");
  info["name"] = string_or_none(*file, "general.name");
  info["context_length"] = py::none();
  if (file->find("general.architecture") != nullptr) {
    const std::string key = file->get_string("general.architecture") + ".context_length";
    if (file->find(key) != nullptr) info["context_length"] = file->get_uint(key);
  }
  info["tensors"] = file->tensors().size();
  info["types"] = types;
  return info;
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& path) {
  py::gil_scoped_release unlocked;
  return Tokenizer::from_gguf(*io::GgufFile::open(path));
}

// str or bytes, as UTF-8.
std::string bytes_of(const py::object& text) {
  if (py::isinstance<py::bytes>(text)) return text.cast<std::string>();
  return py::bytes(text.attr("encode")("utf-8", "surrogatepass")).cast<std::string>();
}

std::vector<TokenId> encode(const Tokenizer& tokenizer, const py::object& text, bool add_special,
                            bool parse_special) {
  const std::string bytes = bytes_of(text);
  py::gil_scoped_release unlocked;
  return tokenizer.encode(bytes, {add_special, parse_special});
}

// A constraint with a mask to answer from; Python sees the mask as a list of ids.
class PyConstraint {
 public:
  PyConstraint(const Tokenizer& tokenizer, std::unique_ptr<Constraint> constraint)
      : constraint_(std::move(constraint)), mask_(tokenizer.size()) {}
  PyConstraint(const PyConstraint& other) : constraint_(other.constraint_->clone()), mask_(other.mask_) {}

  std::vector<TokenId> allowed() {
    constraint_->mask(mask_);
    std::vector<TokenId> ids;
    for (TokenId id = 0; id < mask_.size(); ++id)
      if (mask_.test(id)) ids.push_back(id);
    return ids;
  }
  void accept(TokenId token) { constraint_->accept(token); }
  bool done() const { return constraint_->done(); }

 private:
  std::unique_ptr<Constraint> constraint_;
  TokenMask mask_;
};

void bind_tokenizer(py::module_& m) {
  py::class_<Tokenizer, std::shared_ptr<Tokenizer>>(
      m, "Tokenizer", "The tokenizer inside a GGUF file; safe to share between threads.")
      .def(py::init([](const std::string& path) {
             return std::const_pointer_cast<Tokenizer>(load_tokenizer(path));
           }),
           py::arg("path"))
      .def("encode", &encode, py::arg("text"), py::kw_only(), py::arg("add_special") = true,
           py::arg("parse_special") = true, "Token ids of str or bytes.")
      .def(
          "decode",
          [](const Tokenizer& t, const std::vector<TokenId>& ids, bool special) {
            return py::bytes(t.decode(ids, special));
          },
          py::arg("ids"), py::kw_only(), py::arg("special") = false,
          "The bytes of the tokens; they may end inside a character.")
      .def_property_readonly("size", &Tokenizer::size)
      .def_property_readonly("bos", [](const Tokenizer& t) { return t.vocabulary().bos(); })
      .def_property_readonly("eos", [](const Tokenizer& t) { return t.vocabulary().eos(); })
      .def_property_readonly("end_tokens", [](const Tokenizer& t) { return t.vocabulary().end_tokens(); });
}

void bind_constraint(py::module_& m) {
  py::class_<PyConstraint>(m, "Constraint", "What generation may say next; follows the text token by token.")
      .def_static(
          "choices",
          [](std::shared_ptr<Tokenizer> t, const std::vector<std::string>& choices) {
            return PyConstraint(*t, decoder::make_choices(t, choices));
          },
          py::arg("tokenizer"), py::arg("choices"), "Exactly one of the given strings.")
      .def_static(
          "grammar",
          [](std::shared_ptr<Tokenizer> t, const std::string& gbnf) {
            return PyConstraint(*t, decoder::make_grammar(t, gbnf));
          },
          py::arg("tokenizer"), py::arg("gbnf"), "The language of a GBNF grammar.")
      .def("allowed", &PyConstraint::allowed, "Ids of the tokens that may come next.")
      .def("accept", &PyConstraint::accept, py::arg("token"))
      .def("clone", [](const PyConstraint& c) { return PyConstraint(c); })
      .def_property_readonly("done", &PyConstraint::done);
}

}  // namespace

void bind_io(py::module_& m) {
  m.def("gguf_info", &gguf_info, py::arg("path"),
        "dict of a GGUF file: version, bytes, architecture, name, context_length, tensors, types {name: "
        "count}. The "
        "file is checked as a whole but for the numbers in its tensors.");
  bind_tokenizer(m);
  bind_constraint(m);
}

}  // namespace ev::python
